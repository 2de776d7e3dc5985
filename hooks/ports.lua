-- perry: api=1
-- A server listens in the workspace: show it, and reach it over the tailnet although it is bound to 127.0.0.1?
local infrastructure = { sshd = true, tailscaled = true, dockerd = true, containerd = true, ["perry-step"] = true }

return function(_, _, port)
  local own = infrastructure[port.process or ""] or port.number == 22
  return {
    announce = not own,
    label = port.process,
    expose = not own and port.loopback == true and perry.config "tailscale.exposeLoopback" ~= false,
  }
end
