-- perry: api=1
-- Keep the workspace or stop it? It stays, until the time that `perry start --ttl` gave it is over.
local units = { { 86400, "d" }, { 3600, "h" }, { 60, "m" }, { 1, "s" } }

local function span(seconds)
  for _, unit in ipairs(units) do
    if seconds % unit[1] == 0 then return ("%d%s"):format(seconds // unit[1], unit[2]) end
  end
end

return function(_, _, activity)
  local ttl = activity and activity.ttl
  if ttl and ttl.left <= 0 then
    return { action = "stop", reason = ("its time is over (--ttl %s)"):format(span(ttl.seconds)) }
  end
  return "keep"
end
