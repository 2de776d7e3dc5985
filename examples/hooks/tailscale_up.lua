-- perry: api=1
-- The tailnet's own names (MagicDNS) inside workspaces.
return function(_, base)
  local flags = base()
  flags.accept_dns = true
  return flags
end
