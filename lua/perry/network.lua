-- A bridge with a /28 of its own per workspace, so that no workspace reaches another, not even by forged ARP. One is kept ready.
local base = require "base"
local docker = require "docker"
local errors = require "perry.errors"
local files = require "files"
local names = require "perry.names"
local net = require "net"
local op = require "op"
local spec = require "perry.spec"
local store = require "store"

local M = {}

local function body(name, subnet)
  return {
    Name = name,
    Driver = "bridge",
    CheckDuplicate = true,
    IPAM = { Config = base.list { { Subnet = subnet } } },
    Options = {
      -- A short name of its own, so that the machine's firewall can tell it; 15 characters are the kernel's limit.
      ["com.docker.network.bridge.name"] = "perry-" .. name:match("%x+$"),
      ["com.docker.network.bridge.enable_icc"] = "false",
    },
    Labels = { ["perry.agent"] = names.agent, ["perry.where"] = names.where() },
  }
end

-- The engine may still be making the network that a killed agent had asked for: it refuses a second of that name or bridge before it shows the
-- first. Its subnet, once it is there; nil when it never comes.
local function under_way(name)
  for _ = 1, 50 do
    local made = docker.network_inspect(name)
    if made then return made.IPAM.Config[1].Subnet end
    base.sleep(100)
  end
end

-- What is taken: this machine's routes, and the engine's networks, which may be on another machine or in another namespace.
local function taken()
  local skip = net.routes()
  for _, network in ipairs(docker.call("GET", "/networks")) do
    local ipam = type(network.IPAM) == "table" and network.IPAM.Config
    for _, config in ipairs(type(ipam) == "table" and ipam or {}) do
      if type(config.Subnet) == "string" and not config.Subnet:find(":", 1, true) then skip[#skip + 1] = config.Subnet end
    end
  end
  return skip
end

local tries_alone = 8 -- then each step skips twice as much, so that a range with many taken is crossed in few
local widest = 20

-- Makes the network `name` inside networkRange and gives its subnet. Where the engine is, others may hold addresses that neither list shows: then it says
-- so, and the next ones are tried.
function M.make(name)
  local skip = taken()
  for try = 1, 64 do
    local claimed, subnet = errors.try(store.claim_subnet, name, base.config "networkRange" or "10.213.0.0/16", skip)
    if not claimed and try == 1 then error(subnet, 0) end
    if not claimed then break end
    local ok, e = errors.try(docker.network_create, body(name, subnet))
    if ok then return subnet end
    local made = (errors.says(e, "same bridge name") or errors.says(e, "already exists")) and under_way(name)
    if made then return made end
    if not errors.says(e, "overlap") and not errors.says(e, "pool") then
      store.release_subnet(name)
      error(errors.wrap(e, "network"), 0)
    end
    store.release_subnet(name)
    skip[#skip + 1] = try <= tries_alone and subnet or subnet:gsub("/%d+$", "/" .. math.max(widest, 28 - (try - tries_alone)))
  end
  base.fail("CONFLICT", "every network of networkRange overlaps with one on this machine: set another networkRange in config.json")
end

function M.new_name() return ("perry-net-%s-%s"):format(names.agent8, base.random(4)) end

-- The network of a workspace, whose record then names it. The record comes first: what a kill leaves behind can be told apart from what is in use.
function M.acquire(ctx)
  local wanted = ctx.plan.container.network
  if wanted and wanted ~= "own" then return wanted end
  local record = ctx.record
  if record.network then
    if not docker.network_inspect(record.network) then
      ctx:patch { subnet = M.make(record.network) }
    end
    return record.network
  end
  net.locked("networks", function()
    local spare = store.take_spare()
    if spare then ctx:patch { network = spare.name, subnet = spare.subnet } end
  end)
  if ctx.record.network then return ctx.record.network end
  local name = M.new_name()
  ctx:patch { network = name }
  ctx:patch { subnet = M.make(name) }
  return name
end

-- Is the container on the network that its record names? True where that is not ours.
function M.connected(record, container)
  return not record.network or (container.NetworkSettings.Networks or {})[record.network] ~= nil
end

local function connect(record, patch, container)
  if not docker.network_inspect(record.network) then
    if container.HostConfig.NetworkMode ~= record.network then return false end -- it was not made for that one
    patch { subnet = M.make(record.network) }
  end
  docker.call("POST", "/networks/" .. record.network .. "/connect", { Container = container.Id })
  return true
end

-- Somebody took it off its network (docker network disconnect), and may have removed that, too: it goes back. True when it was so. A start and the event
-- that tells of it may both be about to.
function M.put_back(record, patch, container)
  if M.connected(record, container) then return false end
  local back = false
  net.locked("put back", function()
    local now = docker.inspect(container.Id)
    back = now and not M.connected(record, now) and connect(record, patch, now)
  end)
  if back and container.State.Running and spec.joins(container) then
    errors.attempt("taking IPv6 off the network of " .. record.name, docker.exec, container.Id, { names.step, "no-link-local" }, { user = "0", timeout = 10000 })
  end
  return back
end

function M.reconnect(ctx, container)
  if M.put_back(ctx.record, function(change) ctx:patch(change) end, container) then
    op.progress("prepare", "the workspace was taken off its network; it is on it again")
  end
end

function M.remove(name)
  docker.network_remove(name)
  store.release_subnet(name)
end

local function save() store.kv_set("spare_networks", store.spares()) end

-- Gives a network back: it becomes the spare one when there is none, else it goes.
function M.give_back(name, subnet)
  net.locked("networks", function()
    if #store.spares() < store.spares_wanted() and docker.network_inspect(name) then
      store.add_spare { name = name, subnet = subnet }
      save()
    else
      M.remove(name)
    end
  end)
end

-- Makes spare networks up to the wanted number.
function M.make_spares()
  while #store.spares() < store.spares_wanted() do
    net.locked("networks", function()
      local name = M.new_name()
      store.add_spare { name = name, subnet = M.make(name) }
    end)
  end
  save()
end

-- Networks that some container is made for, whether it runs or not: also one whose record was lost.
local function of_containers()
  local used = {}
  for _, container in ipairs(docker.call("GET", "/containers/json?all=1")) do
    local host = type(container.HostConfig) == "table" and container.HostConfig.NetworkMode
    if host then used[host] = true end
    local settings = type(container.NetworkSettings) == "table" and container.NetworkSettings.Networks
    for name in pairs(type(settings) == "table" and settings or {}) do used[name] = true end
  end
  return used
end

-- Those of ours that no workspace has and that are not spare; only true while "networks" is locked.
function M.unused()
  local unused = base.list()
  local networks = docker.network_list(names.filter())
  local used = of_containers()
  for _, record in ipairs(store.list()) do
    if record.network then used[record.network] = true end
  end
  for _, spare in ipairs(store.spares()) do used[spare.name] = true end
  for _, network in ipairs(networks) do
    if not used[network.Name] then unused[#unused + 1] = network.Name end
  end
  return unused
end

-- Orphans go: of ours that nobody has, and the spare ones of agents that are known to have ended.
function M.tidy()
  net.locked("networks", function()
    for _, name in ipairs(M.unused()) do errors.attempt("network " .. name, M.remove, name) end
  end)
  M.remove_of_the_dead()
end

-- Nobody but its own agent uses a spare network; one whose agent does not live is made again by that one when it is missed.
function M.remove_of_the_dead()
  local used
  for _, network in ipairs(docker.network_list { label = { "perry.where" } }) do
    local labels = type(network.Labels) == "table" and network.Labels or {}
    if labels["perry.agent"] ~= names.agent and network.Name:find("^perry%-net%-") and M.lives(labels["perry.where"]) == false then
      used = used or of_containers()
      if not used[network.Name] then errors.attempt("network " .. network.Name, docker.network_remove, network.Name) end
    end
  end
end

-- where: as names.where() gives it. Does its agent live? nil where that cannot be known from here.
function M.lives(where)
  local host, dir = (where or ""):match("^([^:]*):(/.*)$")
  if host ~= base.hostname() then return nil end
  return files.locked(dir .. "/agent.pid")
end

-- The agent ends, and there is no workspace: most likely nobody comes back for what was kept ready.
function M.give_up_spares()
  if #store.list() > 0 then return end
  net.locked("networks", function() -- one may just be made
    for _, spare in ipairs(store.spares()) do errors.attempt("network " .. spare.name, M.remove, spare.name) end
  end)
end

-- At the start of the agent: the spare ones of last time that are still there and free; what belongs to nobody goes.
function M.reconcile()
  local have, keep, used = {}, {}, of_containers()
  -- First the networks, then the records: one that is made meanwhile is in no list, and one that is in use is in a record by now.
  for _, network in ipairs(docker.network_list(names.filter())) do have[network.Name] = true end
  local claimed = store.subnets()
  for _, record in ipairs(store.list()) do
    if record.network then used[record.network] = true end
  end
  for _, spare in ipairs(store.kv_get("spare_networks") or {}) do
    if have[spare.name] and not used[spare.name] then keep[spare.name] = spare end
  end
  for name in pairs(have) do
    if not used[name] and not keep[name] then errors.attempt("network " .. name, M.remove, name) end
  end
  for _, row in ipairs(claimed) do
    if not used[row.owner] and not keep[row.owner] and not have[row.owner] then store.release_subnet(row.owner) end
  end
  for _, spare in pairs(keep) do store.add_spare(spare) end
end

return M
