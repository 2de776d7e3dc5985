-- perry: api=1
-- Flags of the join.
return function()
  return { accept_dns = false, accept_routes = false, login_server = perry.config "tailscale.loginServer" }
end
