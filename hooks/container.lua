-- perry: api=1
-- The container: unprivileged, the home volume, a network of its own, no devices but what a tailnet needs.
-- Sizes are bytes or "4GiB"; nil is no limit. NET_RAW is dropped unless it is among the capabilities, or Docker is inside.

-- What Docker inside needs where nothing keeps it apart from the host. With these, root inside is root on the host.
local docker_capabilities = { "SYS_ADMIN", "NET_ADMIN", "MKNOD", "SYS_PTRACE" }
local docker_security = { "seccomp=unconfined", "apparmor=unconfined" }

local function has(list, wanted)
  for _, value in ipairs(list or {}) do
    if value == wanted then return true end
  end
  return false
end

local function docker_inside(ws, spec)
  local volume = "workspace-" .. ws.name .. "-docker"
  table.insert(spec.mounts, { type = "volume", source = volume, target = "/var/lib/docker" })
  local engine = ws.agent and ws.agent.engine or {}
  if has(engine.runtimes, "sysbox-runc") then
    spec.docker, spec.runtime = "sysbox", "sysbox-runc"
    return
  end
  spec.docker = engine.userns and "userns" or "host"
  for _, capability in ipairs(docker_capabilities) do
    table.insert(spec.capabilities, capability)
  end
  spec.security = docker_security
end

-- What one workspace may take where nobody says: enough for any build, too little to stop the machine.
local function most_memory(agent)
  local most, gib = agent.memory and agent.memory * 3 // 4, 1 << 30
  return most and most > gib and most // gib * gib or most
end

local function most_processes(agent)
  return math.min(math.max(4096, 2048 * (agent.cpus or 1)), 16384)
end

return function(ws, _, plan)
  local request, agent = ws.request or {}, ws.agent or {}
  local spec = {
    cpus = request.cpus or perry.config "limits.cpus",
    memory = request.memory or perry.config "limits.memory" or most_memory(agent),
    pids = perry.config "limits.pids" or most_processes(agent),
    mounts = { { type = "volume", source = "workspace-" .. ws.name, target = "/home/workspace" } },
    capabilities = {},
    devices = {},
    labels = ws.labels or {},
    network = "own",
    docker = false,
  }
  if plan.joins then
    local state = { type = "volume", source = "workspace-" .. ws.name .. "-tailscale", target = "/var/lib/tailscale" }
    table.insert(spec.mounts, state)
    local up, engine = plan.tailscale_up or {}, ws.agent and ws.agent.engine or {}
    -- Without the device its tailscaled does with the network as it is: userspace networking.
    if engine.tun ~= false and not up.userspace then
      table.insert(spec.capabilities, "NET_ADMIN")
      table.insert(spec.capabilities, "NET_RAW") -- its tailscaled sets rules with iptables
      table.insert(spec.devices, "/dev/net/tun")
    end
  end
  if request.docker then
    docker_inside(ws, spec)
  end
  return spec
end
