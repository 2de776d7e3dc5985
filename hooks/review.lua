-- perry: api=1
-- May this final plan run? Nothing that is root on the host, unless config.json accepts it by name.

local sockets = {
  "/var/run/docker.sock", "/run/docker.sock", "/run/podman/podman.sock", "/var/run/podman/podman.sock",
  "/run/containerd", "/var/run/containerd", "/var/run/crio", "/run/crio",
}

-- Each of these gives root on the host, or close to it, to whoever is root inside.
local strong = {
  ALL = true, SYS_ADMIN = true, SYS_MODULE = true, SYS_RAWIO = true, SYS_BOOT = true, SYS_TIME = true,
  SYS_PTRACE = true, DAC_READ_SEARCH = true, MAC_ADMIN = true, MAC_OVERRIDE = true, BPF = true, PERFMON = true,
  SYSLOG = true, CHECKPOINT_RESTORE = true,
}

local devices = {
  "/dev/net/tun", "/dev/fuse", "/dev/kvm", "/dev/dri", "/dev/snd", "/dev/nvidia", "/dev/ttyUSB", "/dev/ttyACM",
  "/dev/bus/usb",
}

local unprotected = "Docker inside needs sysbox-runc or an engine with userns-remap; the capabilities that would do "
  .. "without (%s) are root on this host. To accept that, set allowHostEquivalentDocker in config.json"

local function begins(text, prefix)
  return text:sub(1, #prefix) == prefix
end

local function within(path, dir)
  if dir == "/" then return true end
  dir = dir:gsub("/+$", "")
  return path == dir or begins(path, dir .. "/")
end

-- Homes of other workspaces hold their credentials; perry's own volumes hold what every workspace runs.
local function foreign(ws, volume)
  local own = "workspace-" .. ws.name
  if volume == own or volume == own .. "-docker" or volume == own .. "-tailscale" then return false end
  return begins(volume, "workspace-") or begins(volume, "perry-")
end

local function mounts(ws, spec)
  for _, mount in ipairs(spec.mounts) do
    if mount.type == "volume" and foreign(ws, mount.source) then
      return ("the volume %s belongs to another workspace or to perry itself"):format(mount.source)
    end
    if mount.type == "bind" then
      for _, socket in ipairs(sockets) do
        if within(mount.source, socket) or within(socket, mount.source) then
          return ("the mount of %s would hand over the engine (%s)"):format(mount.source, socket)
        end
      end
      local allowed = false
      for _, dir in ipairs(perry.config "allowedMounts" or {}) do
        allowed = allowed or within(mount.source, dir)
      end
      if not allowed then
        return ("the mount of %s is outside of allowedMounts in config.json"):format(mount.source)
      end
    end
  end
end

local function host_equivalent(spec)
  for _, capability in ipairs(spec.capabilities) do
    if strong[capability] then return "the capability " .. capability end
  end
  for _, option in ipairs(spec.security) do
    if not begins(option, "no-new-privileges") then return "the security option " .. option end
  end
  for _, device in ipairs(spec.devices) do
    local known = false
    for _, prefix in ipairs(devices) do known = known or begins(device.host, prefix) end
    if not known then return "the device " .. device.host end
  end
end

local function above(value, key)
  local most = perry.config(key)
  if most and (not value or value > perry.bytes(most)) then
    return ("%s allows at most %s"):format(key, most)
  end
end

return function(ws, plan)
  local spec = plan.container
  if spec.privileged then
    return false, "a privileged container is root on the host"
  end
  if spec.network == "host" or begins(spec.network, "container:") then
    return false, ("the network %q would share the host's or another container's"):format(spec.network)
  end
  local why = mounts(ws, spec) or above(spec.memory, "limits.memory") or above(spec.cpus, "limits.cpus")
    or above(spec.pids, "limits.pids")
  if why then
    return false, why
  end
  local engine = ws.agent and ws.agent.engine or {}
  local apart = spec.runtime == "sysbox-runc" or engine.userns
  if apart or perry.config "allowHostEquivalentDocker" then
    return true
  end
  if spec.docker then
    return false, unprotected:format(table.concat(spec.capabilities, ", "))
  end
  why = host_equivalent(spec)
  if why then
    return false, why .. " is root on this host; to accept that, set allowHostEquivalentDocker in config.json"
  end
  return true
end
