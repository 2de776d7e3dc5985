-- The container of a workspace: found, made, made anew from what it was, started. Every function looks at what is there and does what is missing, so
-- that a run which was killed anywhere goes on by running again.
local apart = require "perry.apart"
local base = require "base"
local docker = require "docker"
local errors = require "perry.errors"
local files = require "files"
local mounts = require "perry.mounts"
local names = require "perry.names"
local net = require "net"
local network = require "perry.network"
local op = require "op"
local original = require "perry.original"
local spec = require "perry.spec"
local store = require "store"
local sync = require "perry.sync"
local tools = require "perry.tools"

local M = {}

local boot_timeout = 15000
local refused_for = 24 * 3600 * 1000 -- milliseconds
local port_tries = 16

local function labels_of(thing) return type(thing.Labels) == "table" and thing.Labels or {} end -- the engine says null for none

-- What carries another agent's label is not ours to touch, unless the workspace was adopted from it.
local function others(thing, record)
  local agent = labels_of(thing)["perry.agent"]
  if not agent or agent == names.agent or (record and record.adopted and record.adopted[agent]) then return nil end
  return agent
end

-- The name is taken: by whom, and the way out. Nothing is to be removed for it: it may be a home.
local function refuse(kind, name, thing, ws)
  local other, labels = others(thing), labels_of(thing)
  if other then
    base.fail("CONFLICT", ("the %s %s belongs to another agent on this engine (%s): take another name for this workspace, delete that one with its own "
      .. "agent, or, if that agent is gone, take over what it left: perry adopt --from %s %s"):format(kind, name, other, other, ws))
  end
  if labels["perry.workspace"] and labels["perry.workspace"] ~= ws then
    base.fail("CONFLICT", ("the %s %s is of the workspace %s: take another name for this one"):format(kind, name, labels["perry.workspace"]))
  end
  if kind == "container" and not labels["perry.agent"] and not original.made(ws, labels) then
    base.fail("CONFLICT", ("the container %s exists already and no agent made it: take another name for this workspace, or give that one another: "
      .. "docker rename %s NAME"):format(name, name))
  end
  local from = original.made(ws, labels) and "--from " .. original.agent .. " " or ""
  base.fail("CONFLICT", ("the %s %s exists already and it is of no workspace that this agent knows: take another name, or take it over: perry adopt %s%s")
    :format(kind, name, from, ws))
end

-- The volume, when it is this workspace's: another agent's is not, nor is the home of a workspace named a-docker the inner Docker of a.
-- One without labels (made by hand, or by the original) is its own unless a workspace has it as its home. Second: is it so by its label?
function M.own_volume(ws, name)
  local volume = docker.volume_inspect(name)
  if not volume or others(volume, store.get(ws)) then return nil end
  local whose = labels_of(volume)["perry.workspace"]
  if whose and whose ~= ws then return nil end
  local home_of = name:match("^workspace%-(.+)$")
  if not whose and home_of ~= ws and store.get(home_of) then return nil end
  return volume, whose == ws
end

-- Of a run that was killed: nobody else may use a volume at the same time, nor hold it.
function M.remove_helpers(volume)
  for _, c in ipairs(docker.list { label = { "perry.agent=" .. names.agent, "perry.helper" }, volume = { volume } }) do docker.remove(c.Id) end
end

local let_go_ms = 10000

-- A container that is just being removed, or one that the engine was still making for a killed run, holds it for a moment.
local function drop_volume(name)
  local until_ms = base.mono() + let_go_ms
  while true do
    M.remove_helpers(name)
    local ok, e = errors.try(docker.volume_remove, name)
    if ok then return end
    if not errors.says(e, "in use") or base.mono() > until_ms then error(e, 0) end
    base.sleep(100)
  end
end

function M.remove_volume(ws, name)
  if M.own_volume(ws, name) then drop_volume(name) end
end

-- One that is paused goes on.
function M.wake(container)
  if container.State.Paused then docker.call("POST", "/containers/" .. container.Id .. "/unpause") end
end

-- The one that made way for another, unless it is somebody else's.
function M.remove_old(ws)
  local old = docker.inspect(names.old_container(ws))
  if old and not others(old.Config, store.get(ws)) then docker.remove(old.Id) end
end

-- Was it ever started? One that was not holds nothing that is not made again.
local function has_run(container) return not (container.State.StartedAt or ""):find("^0001") end

-- The workspace's container, by the record's id, else by name (a run was killed between making it and recording it). The original's is not: it steps
-- aside. Second: is it by another agent, or by another record, so that it goes on only as another container?
function M.find(ctx)
  local record = ctx.record
  local container = record.containerId and docker.inspect(record.containerId)
  if container then return container end
  container = docker.inspect(names.container(ctx.name))
  if not container or original.is(record, container) then return nil end
  local labels = labels_of(container.Config)
  if not labels["perry.agent"] or others(container.Config, record) then refuse("container", names.container(ctx.name), container.Config, ctx.name) end
  if labels["perry.agent"] == names.agent and labels["perry.id"] == record.id then return container end
  if has_run(container) or labels["perry.agent"] ~= names.agent then return container, true end
  docker.remove(container.Id) -- of a workspace of this name that was deleted while the engine was still making it
end

-- For a workspace that is new: a container of that name is somebody's work, whose record was lost.
function M.need_free(ws)
  local container = docker.inspect(names.container(ws))
  if container and (others(container.Config) or not labels_of(container.Config)["perry.agent"] or has_run(container)) then
    refuse("container", names.container(ws), container.Config, ws)
  end
end

-- --- making it ---

-- A volume with other labels than we would give it that is this workspace's all the same: it came with what was taken over or adopted.
local function keeps(record, volume)
  local labels = labels_of(volume)
  if labels["perry.agent"] then return not others(volume, record) and labels["perry.workspace"] == record.name end
  return (record.legacy or record.adopted) ~= nil
end

local function make_volumes(ctx)
  local own = { [names.home_volume(ctx.name)] = true, [names.docker_volume(ctx.name)] = true, [names.tailscale_volume(ctx.name)] = true }
  for _, mount in ipairs(ctx.plan.container.mounts or {}) do
    if mount.type == "volume" and own[mount.source] then
      local ok, e = errors.try(docker.volume_create, mount.source, names.labels(ctx.name))
      if not ok and errors.is(e, "CONFLICT") then
        local volume = docker.volume_inspect(mount.source) or {}
        ok = keeps(ctx.record, volume)
        if not ok then refuse("volume", mount.source, volume, ctx.name) end
      end
      if not ok then error(e, 0) end
    end
  end
end

local function remember(ctx, id)
  ctx.container = id
  ctx.made = true
  ctx:patch { containerId = id, image = ctx.plan.image, imageId = ctx.image_id, specHash = ctx.hash, plan = ctx.plan, outdated = base.null }
end

local function make(ctx, image)
  make_volumes(ctx)
  ctx.tools = tools.ensure(ctx.image_id)
  local body = spec.build(ctx, image, network.acquire(ctx))
  remember(ctx, docker.create(names.container(ctx.name), body))
end

-- --- making it anew ---

-- Commits the old container, unless that was done before a kill.
local function commit(remake)
  if docker.image_inspect(remake.commit) then return true end
  if not docker.inspect(remake.old) then return false end
  local began = base.mono()
  docker.commit(remake.old, remake.commit:match("^(.*):(.-)$"))
  op.progress("prepare", ("saved what is installed in %.1f s"):format((base.mono() - began) / 1000))
  return true
end

-- The old one steps aside under another name, the new one is made, the old one goes. The record says what is under way: {image=, commit=, old=, base=}.
local function finish_remake(ctx)
  local remake = ctx.record.remake
  if remake.commit and not commit(remake) then -- the old one was removed by somebody else meanwhile
    ctx:patch { remake = base.null }
    return M.ensure(ctx)
  end
  local old = docker.inspect(names.old_container(ctx.name))
  local current = docker.inspect(names.container(ctx.name))
  if not old and current and current.Id == remake.old then
    docker.call("POST", ("/containers/%s/rename?name=%s"):format(remake.old, names.old_container(ctx.name)))
    current = nil
  end
  if not current then make(ctx, remake.image) else remember(ctx, current.Id) end
  M.remove_old(ctx.name)
  local previous = ctx.record.kept
  ctx:patch { remake = base.null, kept = remake.commit or base.null, error = base.null }
  if previous and previous ~= remake.commit then errors.attempt("removing the image " .. previous, docker.image_remove, previous) end
end

-- From a commit of the old one: what was installed in it stays.
local function remake_kept(ctx, container, why)
  op.progress("prepare", ("making the container anew (%s); what is installed in it is kept"):format(why))
  docker.stop(container.Id, 10)
  local ref = names.kept_repo(ctx.name) .. ":" .. base.now()
  -- It is still what it was made of: a changed image shows as outdated until it is taken on purpose.
  ctx.image_id = container.Config.Labels["perry.base"] or ctx.image_id
  ctx:patch { remake = { image = ref, commit = ref, old = container.Id, base = ctx.image_id } }
  finish_remake(ctx)
end

local function remake_fresh(ctx, container)
  op.progress("prepare", ("making the container anew from %s: what was installed outside of the home is not in it"):format(ctx.plan.image))
  docker.stop(container.Id, 10)
  ctx:patch { remake = { image = ctx.image_id, old = container.Id, base = ctx.image_id } }
  finish_remake(ctx)
end

-- Ports that the engine refused lately; it may be where this process sees no ports.
local function refused_ports()
  local recent = {}
  for _, entry in ipairs(store.kv_get("refused_ports") or {}) do
    if base.now() - entry.at < refused_for and #recent < 1000 then recent[#recent + 1] = entry end
  end
  return recent
end

-- What is taken where the engine is: ports of its containers, and those that it refused.
local function engine_ports()
  local list, seen = {}, {}
  local function add(port)
    if math.type(port) == "integer" and not seen[port] then
      seen[port] = true
      list[#list + 1] = port
    end
  end
  for _, container in ipairs(docker.call("GET", "/containers/json")) do
    for _, port in ipairs(type(container.Ports) == "table" and container.Ports or {}) do add(port.PublicPort) end
  end
  for _, entry in ipairs(refused_ports()) do add(entry.port) end
  return list
end

-- Its SSH port, when what it is made of serves one. image: an id.
local function claim_port(ctx, image)
  ctx.no_ssh = spec.no_ssh(ctx.plan, docker.image_inspect(image))
  if ctx.no_ssh ~= ctx.record.sshMissing then ctx:patch { sshMissing = ctx.no_ssh or base.null } end
  if ctx.no_ssh or (ctx.record.ports and (ctx.record.ports.ssh or 0) > 0) then return end
  local taken = engine_ports()
  local port = store.claim_port(ctx.name, taken)
  while not net.port_free(port) do -- some other program's
    taken[#taken + 1] = port
    port = store.claim_port(ctx.name, taken)
  end
  ctx:reload()
end

-- A container that stays is by this plan from now on; only its image is still that of the plan that made it.
local function note_plan(ctx)
  local plan = {}
  for k, v in pairs(ctx.plan) do plan[k] = v end
  if ctx.record.outdated then plan.image = ctx.record.image end
  ctx:patch { plan = plan }
end

-- The limits that the engine can change of a container that exists.
local function resize(ctx, container)
  local update = spec.update(ctx, container)
  if not update then return end
  -- Podman 4 has no such call. Limits are not worth a workspace that does not start.
  local ok, e = errors.try(docker.call, "POST", "/containers/" .. container.Id .. "/update", update)
  if not ok and not errors.is(e, "NOT_FOUND") then error(e, 0) end
  if not ok and spec.limited(ctx.plan) then
    op.warn("prepare", "this engine cannot change the limits of a container that exists; they stay as they were", ("perry restart %s --recreate"):format(ctx.name))
  end
end

-- Of one that runs and goes on running: what can be changed is; what needs another container waits for one. for_image: another image was asked for.
function M.adapt(ctx, for_image)
  local container = docker.inspect(ctx.container)
  local difference = spec.difference(ctx, container)
  resize(ctx, container)
  if not difference then return note_plan(ctx) end
  if for_image or difference == "image" then
    ctx:patch { outdated = true }
    op.warn("prepare", ("it runs on in the container that it has; the one of the image %s is made on purpose, and what was installed outside of the home is not in it")
      :format(ctx.plan.image), ("perry restart %s --recreate"):format(ctx.name))
  else
    op.warn("prepare", "it runs on in the container that it has; what needs another one comes with its next start", ("perry restart %s"):format(ctx.name))
  end
end

-- Makes sure that ctx.container is the one the plan needs. A changed image alone does not replace it but with recreate: that would lose what is
-- installed; the workspace is outdated until then.
function M.ensure(ctx)
  mounts.check(ctx)
  if ctx.record.remake then
    ctx.image_id = ctx.record.remake.base
    claim_port(ctx, ctx.image_id)
    return finish_remake(ctx)
  end
  local container, strange = M.find(ctx)
  claim_port(ctx, container and not ctx.recreate and container.Config.Labels["perry.base"] or ctx.image_id)
  if not container then
    if ctx.record.containerId then op.progress("prepare", "the container is gone; a new one is made, the home is as it was") end
    original.step_aside(ctx.record)
    -- What was committed for it is still there: better than the bare image.
    local kept = ctx.record.kept and docker.image_inspect(ctx.record.kept)
    return make(ctx, kept and ctx.record.kept or ctx.plan.image)
  end
  if strange and not ctx.recreate then return remake_kept(ctx, container, "it was made for another record") end
  local difference = strange and "spec" or spec.difference(ctx, container)
  if not ctx.recreate and (difference == "image" or not difference) then
    local outdated = difference == "image"
    if outdated ~= (ctx.record.outdated or false) then ctx:patch { outdated = outdated or base.null } end
    difference = nil
  end
  if difference and ctx.recreate and (strange or container.Config.Labels["perry.base"] ~= ctx.image_id) then return remake_fresh(ctx, container) end
  if difference then return remake_kept(ctx, container, difference == "port" and "its port changed" or "its plan changed") end
  M.wake(container)
  network.reconnect(ctx, container)
  ctx.container = container.Id
  ctx.running = container.State.Running
  resize(ctx, container)
  if ctx.record.containerId ~= container.Id then remember(ctx, container.Id) else note_plan(ctx) end
end

-- --- starting it ---

local function other_port(ctx, avoid)
  local refused, recent = ctx.record.ports.ssh, refused_ports()
  recent[#recent + 1] = { port = refused, at = base.now() }
  store.kv_set("refused_ports", recent)
  for _, port in ipairs(engine_ports()) do avoid[#avoid + 1] = port end
  local port = store.claim_port(ctx.name, avoid)
  ctx:reload()
  op.progress("start", ("port %d is taken by another program where the engine is; SSH is on %d"):format(refused, port))
end

-- Another container is needed to start at all.
local function replace(ctx, why)
  local container = docker.inspect(ctx.container)
  if ctx.made and not ctx.record.kept then
    docker.remove(ctx.container)
    return make(ctx, ctx.plan.image)
  end
  remake_kept(ctx, container, why)
end

local function boot(ctx)
  ctx.others = apart.others(ctx)
  ctx.told = files.boot(ctx.container, sync.bundle(ctx, true), boot_timeout)
end

-- Starts it; what is in the way and can be mended is mended: a port that somebody took, a network or tools volume that was removed.
function M.start(ctx)
  if ctx.running then return end
  local avoid, attempt, ports = {}, 0, 0
  while true do
    local ok, e = errors.try(boot, ctx)
    if ok then break end
    local port = errors.says(e, "port is already allocated") or errors.says(e, "address already in use") or errors.says(e, "failed to bind host port")
    attempt, ports = attempt + (port and 0 or 1), ports + (port and 1 or 0)
    if attempt == 4 or ports == port_tries then error(e, 0) end
    if port then
      other_port(ctx, avoid)
      replace(ctx, "its port changed")
    elseif errors.says(e, "network") and errors.says(e, "not found") then
      op.progress("start", "the workspace's network was removed; it is made again")
      replace(ctx, "its network was removed")
    elseif errors.says(e, names.step) and (errors.says(e, "no such file") or errors.says(e, "not found")) then
      tools.forget()
      ctx.tools = tools.ensure(ctx.image_id)
    else
      error(e, 0)
    end
  end
  local now = docker.inspect(ctx.container)
  if now and now.State.Running then mounts.verify(ctx, now) end
  store.container(ctx.name, now)
  if now and not now.State.Running then
    base.fail("INTERNAL_SERVER_ERROR", ("the container ended at once with exit code %d%s; see: perry logs %s"):format(now.State.ExitCode,
      now.State.Error ~= "" and ": " .. now.State.Error or "", ctx.name))
  end
end

-- What was done for a workspace that did not come to be goes again. The volume of a home that was there before stays.
function M.undo(ctx)
  local record = ctx.record
  local container = docker.inspect(names.container(ctx.name))
  if container and (container.Config.Labels or {})["perry.id"] == record.id then docker.remove(container.Id) end
  store.container(ctx.name, nil)
  if not record.homeKept then M.remove_volume(ctx.name, names.home_volume(ctx.name)) end
  local inner, labelled = M.own_volume(ctx.name, names.docker_volume(ctx.name))
  if labelled then drop_volume(inner.Name) end
  if record.network then
    local name, subnet = record.network, record.subnet
    -- The record lets go of it first: deleting the record would free its addresses.
    ctx:patch { network = base.null }
    base.later("upkeep", "release", { network = name, subnet = subnet })
  end
end

return M
