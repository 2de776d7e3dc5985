-- The container spec of the Engine API, made of a plan and a record. Nothing secret gets in here: docker inspect shows it.
local base = require "base"
local files = require "files"
local names = require "perry.names"

local M = {}

-- What the engine can change of a container that exists.
local changeable = { cpus = true, memory = true, pids = true }

-- What the container is to know of its tailnet; the key itself is never there. An image that was committed of a container that joined holds the
-- variables, and one that does not join any more must not believe them.
local function environment(plan, image)
  if not plan.join then return image and image:find("^perry%-kept/") and base.list { "TS_AUTHKEY=", "TS_USERSPACE=" } or nil end
  local userspace = plan.tailscale_up and plan.tailscale_up.userspace
  return base.list { "TS_AUTHKEY=file:/run/perry/ts/authkey", "TS_USERSPACE=" .. (userspace and "true" or "") }
end

-- Was a container that exists (or nil) made to join?
function M.joins(container)
  for _, v in ipairs(container and container.Config.Env or {}) do
    if v:match("^TS_AUTHKEY=.") then return true end
  end
  return false
end

-- With a network device of its own; else its tailscaled does userspace networking.
local function has_tun(plan)
  for _, device in ipairs(plan.container.devices or {}) do
    if device.host == "/dev/net/tun" then return true end
  end
end

-- The engine switches IPv6 off in a container whose network has none, and tailscaled then gives its interface no IPv6 address. perry-step takes it off the
-- other interfaces again: that cannot be said here, because tailscaled believes "all", and the engine sets these in any order.
local function sysctls(plan)
  local c = plan.container
  if not (plan.join and has_tun(plan)) or c.network ~= "own" or not files.stat("/proc/sys/net/ipv6/conf/all/disable_ipv6") then return c.sysctls end
  local all = { ["net.ipv6.conf.all.disable_ipv6"] = "0", ["net.ipv6.conf.default.disable_ipv6"] = "0" }
  for name, value in pairs(c.sysctls or {}) do all[name] = value end
  return all
end

-- Equal hashes: the container that exists is the one the plan needs.
function M.hash(plan, tools)
  local fixed = {}
  for k, v in pairs(plan.container) do
    if not changeable[k] then fixed[k] = v end
  end
  fixed.sysctls = sysctls(plan)
  return base.sha256(base.canonical { container = fixed, env = environment(plan), tools = tools, version = 2 }):sub(1, 16)
end

local function mounts(plan, tools)
  local list = base.list()
  for _, m in ipairs(plan.container.mounts or {}) do
    local mount = { Type = m.type, Target = m.target, ReadOnly = m.readonly or false }
    if m.type == "tmpfs" then
      mount.TmpfsOptions = m.size and { SizeBytes = m.size } or nil
    else
      mount.Source = m.source
    end
    list[#list + 1] = mount
  end
  list[#list + 1] = { Type = "volume", Source = tools, Target = "/opt/perry", ReadOnly = true }
  return list
end

local function devices(plan)
  local list = base.list()
  for _, d in ipairs(plan.container.devices or {}) do
    list[#list + 1] = { PathOnHost = d.host, PathInContainer = d.container, CgroupPermissions = d.permissions or "rwm" }
  end
  return list
end

local function gpus(plan)
  local wanted = plan.container.gpus
  if not wanted then return nil end
  return base.list { { Count = wanted == "all" and -1 or wanted, Capabilities = base.list { base.list { "gpu" } } } }
end

-- Of the engine's own set; forged packets are nobody's work but a hook's that says so. Docker inside gives it on.
local function dropped(c)
  if c.docker or c.privileged then return nil end
  for _, capability in ipairs(c.capabilities or {}) do
    if capability == "NET_RAW" or capability == "ALL" then return nil end
  end
  return base.list { "NET_RAW" }
end

-- Why nobody could come in by SSH: an image says with EXPOSE 22 that it has a server. nil: its port is published.
function M.no_ssh(plan, image)
  if plan.container.network == "none" then return "the workspace has no network" end
  local exposed = image and type(image.Config) == "table" and image.Config.ExposedPorts
  if image and not (type(exposed) == "table" and exposed["22/tcp"]) then return "the image has no SSH server: it does not EXPOSE 22" end
end

function M.resources(plan)
  local c = plan.container
  return { NanoCpus = c.cpus and math.floor(c.cpus * 1e9) or 0, Memory = c.memory or 0, PidsLimit = c.pids or 0 }
end

-- Does the plan limit anything?
function M.limited(plan)
  local c = plan.container
  return (c.cpus or c.memory or c.pids) ~= nil
end

-- image: what it is made from; network: the engine's name of the network.
function M.build(ctx, image, network)
  local plan, record = ctx.plan, ctx.record
  local c = plan.container
  local host = {
    NetworkMode = network,
    Mounts = mounts(plan, ctx.tools),
    Tmpfs = { ["/run/perry"] = "rw,exec,nosuid,nodev,mode=755,size=96m" },
    RestartPolicy = { Name = "no" },
    CapAdd = base.list(c.capabilities),
    CapDrop = dropped(c),
    Devices = devices(plan),
    DeviceRequests = gpus(plan),
    SecurityOpt = base.list(c.security),
    Sysctls = sysctls(plan),
    ExtraHosts = base.list(c.hosts),
    Dns = base.list(c.dns),
    Runtime = c.runtime,
    ShmSize = c.shm,
    Privileged = c.privileged or false,
    LogConfig = { Type = "json-file", Config = { ["max-size"] = "10m", ["max-file"] = "2" } },
  }
  for k, v in pairs(M.resources(plan)) do
    if v ~= 0 then host[k] = v end
  end
  local spec = {
    Image = image,
    Hostname = record.name,
    User = "0",
    Env = environment(plan, image),
    Entrypoint = base.list { names.step, "init" },
    Cmd = base.list(),
    -- init takes the environment and the files from whoever is attached when it starts.
    OpenStdin = true,
    StdinOnce = true,
    StopSignal = "SIGTERM",
    Labels = names.labels(record.name, {
      ["perry.id"] = record.id, ["perry.spec"] = ctx.hash, ["perry.base"] = ctx.image_id, ["perry.where"] = names.where(),
    }),
    HostConfig = host,
  }
  for k, v in pairs(c.labels or {}) do spec.Labels[k] = v end
  if not ctx.no_ssh then
    spec.ExposedPorts = { ["22/tcp"] = {} }
    host.PortBindings = { ["22/tcp"] = base.list { { HostIp = "127.0.0.1", HostPort = tostring(record.ports.ssh) } } }
  end
  return spec
end

-- Why the container that exists is not the one that is wanted: "spec", "image", "port", or nil.
function M.difference(ctx, container)
  local labels = container.Config.Labels or {}
  if labels["perry.spec"] ~= ctx.hash then return "spec" end
  local bindings = container.HostConfig.PortBindings -- null for none
  local bound = type(bindings) == "table" and (bindings["22/tcp"] or {})[1]
  if not ctx.no_ssh and (not bound or tonumber(bound.HostPort) ~= ctx.record.ports.ssh) then return "port" end
  if labels["perry.base"] ~= ctx.image_id then return "image" end
end

-- The changeable part, when it differs: the body of an update.
function M.update(ctx, container)
  local wanted, update = M.resources(ctx.plan), nil
  for k, v in pairs(wanted) do
    local have = container.HostConfig[k]
    if type(have) ~= "number" or have < 0 then have = 0 end
    if have ~= v then
      update = update or {}
      update[k] = v ~= 0 and v or (k == "PidsLimit" and -1 or 0)
    end
  end
  if update and update.Memory then update.MemorySwap = update.Memory > 0 and 2 * update.Memory or -1 end
  return update
end

return M
