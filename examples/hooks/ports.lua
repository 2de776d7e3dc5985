-- perry: api=1
-- Databases are nobody's business outside of their workspace.
local private = { postgres = true, mysqld = true, mongod = true, ["redis-server"] = true }

return function(_, base, port)
  if private[port.process or ""] then
    return { announce = false, expose = false }
  end
  return base()
end
