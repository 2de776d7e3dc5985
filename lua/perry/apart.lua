-- Does the engine keep workspaces' networks apart? Its firewall rules do that, and whoever reloads the machine's firewall takes them away without a
-- word: so it is tried, from one workspace to others, at each start and by doctor. What a workspace says of it is shown, and decides nothing.
local base = require "base"
local docker = require "docker"
local errors = require "perry.errors"
local names = require "perry.names"
local network = require "perry.network"
local op = require "op"
local store = require "store"
local tools = require "perry.tools"

local M = {}

local mend = "sudo systemctl restart docker"
local at_a_start, at_doctor = 2, 16

local function address(container, name)
  local at = container and container.State.Running and (container.NetworkSettings.Networks or {})[name]
  return at and at.IPAddress ~= "" and at.IPAddress or nil
end

-- Others that run on a network of their own: {name, id, address}, at most n.
local function running(except, n)
  local list = {}
  for _, record in ipairs(store.list()) do
    if #list == n then break end
    if record.name ~= except and record.network and record.containerId and store.status(record.name) == "running" then
      local ok, container = errors.try(docker.inspect, record.containerId)
      local ip = ok and address(container, record.network)
      if ip then list[#list + 1] = { name = record.name, id = container.Id, address = ip } end
    end
  end
  return list
end

-- --- at a start ---

-- Whom the workspace that starts is to try; none where it has no network of its own.
function M.others(ctx)
  return ctx.record.network and running(ctx.name, at_a_start) or {}
end

-- What it said. Nothing here keeps a workspace from starting.
function M.warn(ctx, said)
  for _, other in ipairs(ctx.others or {}) do
    if said:find("[perry] reaches " .. other.address .. "\n", 1, true) then
      op.warn("start", ("workspaces are not apart: %s reaches %s over the engine's networks, whose firewall rules are not there, or others stand above them")
        :format(ctx.name, other.name), mend)
      return
    end
  end
end

-- --- for doctor ---

-- Which of the others answers from there; false: none; nil: it cannot be tried, and why.
local function reaches(from, others)
  local argv = { names.step, "reach" }
  for _, other in ipairs(others) do argv[#argv + 1] = other.address end
  local ok, result = errors.try(docker.exec, from.id, argv, { timeout = 20000 })
  if not ok then return nil, errors.message(result) end
  if result.code ~= 0 then return nil, result.stderr end
  for _, other in ipairs(others) do
    if ("\n" .. result.stdout):find("\n" .. other.address .. "\n", 1, true) then return other end
  end
  return false
end

-- A container on a network of its own that does nothing, in a workspace's place; it is gone when fn returns.
local function stand_in(image, fn)
  local name, id = network.new_name(), nil
  local subnet = network.make(name)
  local ok, e = errors.try(function()
    id = docker.create("perry-apart-" .. base.random(6), {
      Image = image, User = "0", Entrypoint = base.list { names.step, "reach" }, Cmd = base.list(), Labels = names.helper_labels(),
      ExposedPorts = { ["22/tcp"] = {} },
      HostConfig = {
        NetworkMode = name, Mounts = base.list { { Type = "volume", Source = tools.ensure(image), Target = "/opt/perry", ReadOnly = true } },
        PortBindings = { ["22/tcp"] = base.list { { HostIp = "127.0.0.1", HostPort = "" } } }, CapDrop = base.list { "ALL" },
      },
    })
    docker.call("POST", "/containers/" .. id .. "/start")
    fn { name = "a container beside it", id = id, address = address(docker.inspect(id), name) }
  end)
  if id then errors.attempt("removing a helper container", docker.remove, id) end
  errors.attempt("removing its network " .. name .. " " .. subnet, network.remove, name)
  if not ok then error(e, 0) end
end

-- From one to all others, and from another to that one: a workspace may keep silent of its own will. Which reaches which; false: none.
local function try_all(list)
  local problem
  for i = 1, math.min(#list, 2) do
    local others = {}
    for k, other in ipairs(list) do
      if k ~= i then others[#others + 1] = other end
    end
    local other, why = reaches(list[i], others)
    if other then return list[i], other end
    if other == nil then problem = why end
  end
  if problem then base.fail("SERVICE_UNAVAILABLE", problem) end
  return false
end

-- nil, why: there is nothing to try it with.
local function try_now()
  local list = running(nil, at_doctor)
  if #list > 1 then return try_all(list) end
  local image, one, two = base.config "image" or "perry:latest", nil, nil
  if not docker.image_inspect(image) then return nil, "there are no two workspaces that run, nor the image " .. image .. " for containers in their place" end
  stand_in(image, function(second)
    if list[1] then
      one, two = try_all { list[1], second }
      return
    end
    second.name = "another"
    stand_in(image, function(first)
      first.name = "a container in a workspace's place"
      one, two = try_all { first, second }
    end)
  end)
  return one, two
end

function M.check(add)
  local what, one, two = "workspaces' networks", nil, nil
  local ok, e = errors.try(function() one, two = try_now() end)
  if not ok then
    add(what, false, "it could not be tried whether they are apart: " .. errors.message(e))
  elseif one then
    add(what, false, ("%s reaches %s over the engine's networks: its firewall rules are not there, or others stand above them"):format(one.name, two.name), mend)
  elseif one == false then
    add(what, true, "apart: it was tried from one to another, which is out of its reach")
  else
    add(what, true, "not tried: " .. two)
  end
  for _, record in ipairs(store.list()) do
    if record.network and record.containerId and store.status(record.name) == "running" then
      local found, container = errors.try(docker.inspect, record.containerId)
      if found and container and not network.connected(record, container) then
        add(what, false, record.name .. " was taken off its network", "perry start " .. record.name)
      end
    end
  end
end

return M
