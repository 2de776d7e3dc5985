-- perry: api=1
-- The name on the tailnet: the configured prefix and the workspace's name, as a DNS label.
return function(ws)
  return perry.label((perry.config "tailscale.hostnamePrefix" or "") .. ws.name)
end
