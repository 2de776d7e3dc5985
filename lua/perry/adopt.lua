-- Workspaces whose record is gone, found again by the labels of what is on the engine: containers, and volumes without one (a home alone is a workspace
-- that is stopped, and a start makes its container). Adoption writes records and destroys nothing. What another agent made is adopted only when that agent
-- is named, and not while it is known to live.
local base = require "base"
local docker = require "docker"
local errors = require "perry.errors"
local names = require "perry.names"
local network = require "perry.network"
local original = require "perry.original"
local store = require "store"

local M = {}

local function labels_of(thing) return type(thing.Labels) == "table" and thing.Labels or {} end

local function name_ok(name) return type(name) == "string" and #name <= 63 and name:find("^[a-z0-9][a-z0-9-]*$") and not name:find("-$") end

-- --- what is there ---

local function all_volumes()
  local list = docker.call("GET", "/volumes").Volumes
  return type(list) == "table" and list or {} -- null when there are none
end

-- By agent and workspace: {name, agent, container, old, volumes}.
local function gather()
  local found = {}
  local function of(agent, ws)
    found[agent] = found[agent] or {}
    found[agent][ws] = found[agent][ws] or { name = ws, agent = agent, volumes = base.list() }
    return found[agent][ws]
  end
  for _, c in ipairs(docker.call("GET", "/containers/json?all=1")) do
    local labels, name = labels_of(c), ((c.Names or {})[1] or ""):gsub("^/", "")
    local agent, ws = labels["perry.agent"], labels["perry.workspace"]
    if agent and name_ok(ws) and not labels["perry.helper"] then
      if name == names.container(ws) then of(agent, ws).container = c elseif name == names.old_container(ws) then of(agent, ws).old = c end
    elseif name_ok(labels["workspace.name"]) and original.made(labels["workspace.name"], labels) then
      ws = labels["workspace.name"]
      if name == names.container(ws) then of(original.agent, ws).container = c end
    end
  end
  for _, v in ipairs(all_volumes()) do
    local agent, ws = labels_of(v)["perry.agent"], labels_of(v)["perry.workspace"]
    if agent and name_ok(ws) and (v.Name == names.home_volume(ws) or v.Name == names.docker_volume(ws) or v.Name == names.tailscale_volume(ws)) then
      local one = of(agent, ws)
      one.volumes[#one.volumes + 1] = v.Name
      one.home = one.home or v.Name == names.home_volume(ws)
    end
  end
  return found
end

-- Is the agent of this id alive? true, false, or nil where that cannot be known from here.
local function alive(agent, found)
  local where
  for _, one in pairs(found[agent] or {}) do
    where = where or (one.container and labels_of(one.container)["perry.where"])
  end
  for _, made in ipairs(not where and docker.network_list { label = { "perry.agent=" .. agent } } or {}) do
    where = where or labels_of(made)["perry.where"]
  end
  return network.lives(where)
end

-- A workspace of ours that belongs to no record: has it anything to lose?
local function worth_it(one) return one.container ~= nil or one.old ~= nil or one.home end

-- Of this agent, without a record: {name = entry}. What was kept on purpose (delete --keep-home) is no loss.
function M.lost(found)
  local lost = {}
  for ws, one in pairs((found or gather())[names.agent] or {}) do
    local kept = not one.container and not one.old and store.kv_get("kept-home/" .. ws)
    if not store.get(ws) and worth_it(one) and not kept then lost[ws] = one end
  end
  return lost
end

-- --- one record ---

local function ssh_port(container)
  local bindings = type(container.HostConfig.PortBindings) == "table" and container.HostConfig.PortBindings["22/tcp"]
  local port = type(bindings) == "table" and bindings[1] and tonumber(bindings[1].HostPort)
  return port and port > 0 and math.tointeger(port) or nil
end

-- What the container tells of its workspace.
local function from_container(record, container, ours)
  local labels = labels_of(container.Config)
  record.created = base.time(container.Created or "") or base.now()
  record.desired = ours and container.State.Running and "running" or "stopped"
  local ssh = ssh_port(container)
  if ssh then record.ports = { ssh = ssh } end
  local own = {}
  for k, v in pairs(labels) do
    if not k:find("^perry%.") and not k:find("^workspace%.") and not k:find("^com%.docker%.") and not k:find("^org%.opencontainers%.") then own[k] = v end
  end
  if next(own) and ours then record.labels = own end
  if not ours then return end
  record.id, record.containerId = labels["perry.id"], container.Id
  record.imageId, record.specHash = labels["perry.base"], labels["perry.spec"]
  local image, net_name = container.Config.Image or "", container.HostConfig.NetworkMode or ""
  if image:find("^perry%-kept/") then record.kept = image end
  if net_name:find("^perry%-net%-") then
    local made = docker.network_inspect(net_name)
    record.network, record.subnet = net_name, made and made.IPAM.Config[1] and made.IPAM.Config[1].Subnet or nil
  end
end

local function adopt_one(one, owner)
  local ours = one.agent == names.agent
  local record = { name = one.name, state = "ready", desired = "stopped", owner = owner, ports = {} }
  if ours and one.old and not one.container then -- the one that made way, and its successor was never made
    docker.call("POST", ("/containers/%s/rename?name=%s"):format(one.old.Id, names.container(one.name)))
    one.container = one.old
  end
  local container = one.container and docker.inspect(one.container.Id)
  if container then from_container(record, container, ours) end
  if one.agent == original.agent then
    record.legacy = { containerId = container and container.Id, status = container and container.State.Status }
  elseif not ours then
    record.adopted = { [one.agent or "nobody"] = true }
  end
  store.create(record)
  if ours and container then store.container(one.name, container) end
end

-- --- which ---

local function entry(one)
  local kind = one.container and "container" or one.old and "container" or one.home and "home" or "volumes"
  return { name = one.name, agent = one.agent ~= names.agent and one.agent or nil, kind = kind, running = one.container and one.container.State == "running" or nil }
end

-- A volume that nobody labelled, named as this workspace's home is: the original's without its container, one made by hand.
local function bare(ws)
  local volume = docker.volume_inspect(names.home_volume(ws))
  if not volume or labels_of(volume)["perry.agent"] then return nil end
  return { name = ws, home = true, volumes = base.list { volume.Name } }
end

-- Those of other agents that could be named, for the answer.
local function others(found)
  local list = base.list()
  for agent, all in pairs(found) do
    local here = base.list()
    for ws, one in pairs(all) do
      if not store.get(ws) and worth_it(one) then here[#here + 1] = ws end
    end
    if agent ~= names.agent and #here > 0 then
      table.sort(here)
      list[#list + 1] = { agent = agent, names = here, alive = alive(agent, found) }
    end
  end
  table.sort(list, function(a, b) return a.agent < b.agent end)
  return list
end

local function none_of(ws, agent)
  if store.get(ws) then base.fail("CONFLICT", ("there is a workspace '%s' with a record already"):format(ws)) end
  base.fail("NOT_FOUND", ("nothing on the engine is of a workspace '%s'%s that has no record"):format(ws,
    agent ~= names.agent and " of the agent " .. agent or " of this agent"))
end

-- A workspace that has a record, and something beside it that another agent left under its name (the state of its tailnet device).
local function beside(one) return one and store.get(one.name) ~= nil end

local function chosen(found, input, agent)
  local list = base.list()
  if not input.names or #input.names == 0 then
    local all = agent == names.agent and M.lost(found) or found[agent] or {}
    for ws, one in pairs(all) do
      if not store.get(ws) and worth_it(one) then list[#list + 1] = one end
    end
    table.sort(list, function(a, b) return a.name < b.name end)
    return list
  end
  for _, ws in ipairs(input.names) do
    local one = (found[agent] or {})[ws] or (not input.agent and bare(ws)) or nil
    if not one or (store.get(ws) and (agent == names.agent or agent == original.agent)) then none_of(ws, agent) end
    list[#list + 1] = one
  end
  return list
end

-- input: {names, agent, dryRun}.
function M.run(info)
  local input, found = info.input, gather()
  local agent = input.agent or names.agent
  if agent ~= names.agent and not found[agent] then
    base.fail("NOT_FOUND", ("nothing on the engine is of an agent %s"):format(agent))
  end
  if agent ~= names.agent and alive(agent, found) then
    base.fail("CONFLICT", ("the agent %s lives, its workspaces are its own: take over what it has once it has ended for good"):format(agent))
  end
  local result = { dryRun = input.dryRun == true, adopted = base.list(), failed = base.list(), others = others(found) }
  local owner = info.caller and (info.caller.login or info.caller.kind)
  for _, one in ipairs(chosen(found, input, agent)) do
    local ok, e = true, nil
    if not result.dryRun then
      if beside(one) then
        ok, e = errors.try(store.patch, one.name, { adopted = { [one.agent] = true } })
      else
        ok, e = errors.try(adopt_one, one, owner)
      end
    end
    local row = entry(one)
    if ok then result.adopted[#result.adopted + 1] = row else
      row.error = errors.message(e)
      result.failed[#result.failed + 1] = row
    end
  end
  if agent ~= names.agent then result.others = base.list() end
  return result
end

-- For doctor: the names without a record, sorted.
function M.names()
  local list = base.list()
  for ws in pairs(M.lost()) do list[#list + 1] = ws end
  table.sort(list)
  return list
end

return M
