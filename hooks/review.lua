-- perry: api=1
-- May this final plan run? Nothing that is root on the host, unless config.json accepts it by name.

local sockets = {
  "/var/run/docker.sock", "/run/docker.sock", "/run/podman/podman.sock", "/var/run/podman/podman.sock",
  "/run/containerd", "/var/run/containerd", "/var/run/crio", "/run/crio",
}

-- What leaves the host to itself: Docker's own set, and what works on the workspace's own network and processes. All
-- others give root on the host, or come close to it.
local weak = {
  AUDIT_WRITE = true, CHOWN = true, DAC_OVERRIDE = true, FOWNER = true, FSETID = true, IPC_LOCK = true, KILL = true,
  MKNOD = true, NET_ADMIN = true, NET_BIND_SERVICE = true, NET_BROADCAST = true, NET_RAW = true, SETFCAP = true,
  SETGID = true, SETPCAP = true, SETUID = true, SYS_CHROOT = true, SYS_NICE = true,
}

-- Those that the kernel keeps apart for each container.
local sysctls = {
  "net.ipv4.", "net.ipv6.", "net.core.somaxconn", "fs.mqueue.", "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni",
  "kernel.sem", "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced",
}

local runtimes = {
  runc = true, crun = true, youki = true, runsc = true, nvidia = true, ["sysbox-runc"] = true, kata = true,
  ["kata-runtime"] = true, ["io.containerd.runc.v2"] = true,
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

local function listed(key, name)
  for _, entry in ipairs(perry.config(key) or {}) do
    if entry == name then return true end
  end
  return false
end

-- Homes of other workspaces hold their credentials; perry's own volumes hold what every workspace runs. Of the others
-- nobody but the owner of the machine knows what is in them.
local function foreign(ws, volume)
  local own = "workspace-" .. ws.name
  if volume == own or volume == own .. "-docker" or volume == own .. "-tailscale" then return nil end
  if begins(volume, "workspace-") or begins(volume, "perry-") then
    return ("the volume %s belongs to another workspace or to perry itself"):format(volume)
  end
  if not listed("allowedVolumes", volume) then
    return ("the volume %s is none of the workspace's own, and not in allowedVolumes in config.json"):format(volume)
  end
end

local function network(name)
  if name == "own" or name == "none" then return nil end
  if name == "host" or begins(name, "container:") then
    return ("the network %q would share the host's or another container's"):format(name)
  end
  if begins(name, "perry-") then return ("the network %s belongs to another workspace"):format(name) end
  if not listed("allowedNetworks", name) then
    return ("the network %s is not in allowedNetworks in config.json"):format(name)
  end
end

local function sysctl(spec)
  for name in pairs(spec.sysctls or {}) do
    local known = false
    for _, prefix in ipairs(sysctls) do
      known = known or name == prefix or (prefix:sub(-1) == "." and begins(name, prefix))
    end
    if not known then return ("the sysctl %s is not the container's alone"):format(name) end
  end
end

local function mounts(ws, spec)
  for _, mount in ipairs(spec.mounts) do
    local why = mount.type == "volume" and foreign(ws, mount.source)
    if why then return why end
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
  if spec.runtime and not runtimes[spec.runtime] then return "the runtime " .. spec.runtime end
  for _, capability in ipairs(spec.capabilities) do
    if not weak[capability] then return "the capability " .. capability end
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
  local why = network(spec.network) or mounts(ws, spec) or sysctl(spec) or above(spec.memory, "limits.memory")
    or above(spec.cpus, "limits.cpus") or above(spec.pids, "limits.pids")
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
