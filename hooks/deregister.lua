-- perry: api=1
-- How a deleted workspace leaves the tailnet, in order.
return function(ws)
  local credential = next(perry.config "tailscale.credentials" or {}) ~= nil
  if ws.state ~= "running" and credential then
    return { "api" }
  end
  return credential and { "logout", "api" } or { "logout" }
end
