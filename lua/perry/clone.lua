-- A second workspace with the first one's home (and inner Docker) as it is now; never its Tailscale state, nor its ssh host keys.
local base = require "base"
local container = require "perry.container"
local docker = require "docker"
local errors = require "perry.errors"
local names = require "perry.names"
local net = require "net"
local op = require "op"
local original = require "perry.original"
local plan = require "perry.plan"
local store = require "store"

local M = {}

local function pair(ctx, source)
  local pairs = { { names.home_volume(source.name), names.home_volume(ctx.name) } }
  if container.own_volume(source.name, names.docker_volume(source.name)) then
    pairs[#pairs + 1] = { names.docker_volume(source.name), names.docker_volume(ctx.name) }
  end
  return pairs
end

-- Its exit code says why: a log could not be written where no space is left.
local no_space = 28
local script = [[
export LC_ALL=C
i=1
while [ -d /from$i ]; do
  said=$(cp -a /from$i/. /to$i/ 2>&1) || case $said in
    *"No space left"* | *uota*) exit 28 ;;
    *) exit 1 ;;
  esac
  i=$((i+1))
done
rm -rf /to1/.perry]]

local function helper_of(ctx) return "perry-clone-" .. ctx.info.id end

-- Copies in a container of the source's image that has all the volumes; waits, and looks whether it should stop.
local function copy(ctx, source)
  local helper = helper_of(ctx)
  local mounts = base.list()
  for i, p in ipairs(pair(ctx, source)) do
    local labels = names.labels(ctx.name)
    docker.volume_create(p[2], labels)
    mounts[#mounts + 1] = { Type = "volume", Source = p[1], Target = "/from" .. i, ReadOnly = true }
    mounts[#mounts + 1] = { Type = "volume", Source = p[2], Target = "/to" .. i, VolumeOptions = { Labels = labels } }
  end
  docker.remove(helper) -- of a run that was killed; what it copied is copied again
  local id = docker.create(helper, {
    Image = source.imageId or ctx.image_id, User = "0", Entrypoint = base.list { "/bin/sh", "-c", script }, Cmd = base.list(), Labels = names.helper_labels(),
    HostConfig = { NetworkMode = "none", Mounts = mounts },
  })
  local ok, e = errors.try(function()
    docker.start(id)
    local state
    repeat
      op.check()
      base.sleep(50)
      state = docker.inspect(id).State
    until not state.Running
    if state.ExitCode == no_space then
      base.fail("INTERNAL_SERVER_ERROR", "no space left for a copy of the home where the engine keeps volumes; perry prune and docker system df help")
    elseif state.ExitCode ~= 0 then
      local said = docker.call("GET", "/containers/" .. id .. "/json")
      local why = said.State.Error
      base.fail("INTERNAL_SERVER_ERROR", ("copying the home failed with exit code %d%s; %s is as it was\nnext: once more: perry clone %s %s")
        :format(state.ExitCode, why and why ~= "" and " (" .. why .. ")" or "", source.name, source.name, ctx.name))
    end
  end)
  errors.attempt("removing a helper container", docker.remove, id)
  if not ok then error(e, 0) end
end

-- One that was taken over from the original may still run in that one's container.
local function container_of(source) return source.containerId and docker.inspect(source.containerId) or original.find(source) end

-- Nothing is written meanwhile: a running source is paused. Its record says for which operations, before it is: whoever comes after a kill knows
-- what to let go on, and what its owner had paused stays so.
local function pause(source, id)
  net.locked("pause", function()
    local held = (store.get(source.name) or {}).paused
    local current = container_of(source)
    if not (current and current.State.Running) or (current.State.Paused and not (held and next(held))) then return end
    store.patch(source.name, { paused = { [id] = true } })
    if not current.State.Paused then docker.call("POST", "/containers/" .. current.Id .. "/pause") end
  end)
end

-- The source goes on, once nobody else copies it.
local function resume(name, id)
  net.locked("pause", function()
    local source = store.get(name)
    local held = source and source.paused
    if not (held and held[id]) then return end
    held[id] = nil
    if not next(held) then
      local current = container_of(source)
      if current then container.wake(current) end
    end
    store.patch(name, { paused = { [id] = base.null } })
  end)
end

local function warn_paused(name, e)
  op.warn("prepare", ("%s stays paused: %s"):format(name, errors.message(e)), "perry start " .. name)
end

local function with_source_paused(ctx, source, fn)
  local ok, e = errors.try(function()
    pause(source, ctx.info.id)
    fn()
  end)
  local resumed, why = errors.try(resume, source.name, ctx.info.id)
  if not resumed then warn_paused(source.name, why) end
  if not ok then error(e, 0) end
end

-- What a killed run left: its helper, which holds the volumes, and the source.
local function tidy(ctx)
  local ok, e = errors.try(docker.remove, helper_of(ctx))
  if not ok then base.log("warn", "removing a helper container: " .. errors.message(e)) end
  ok, e = errors.try(resume, ctx.input.sourceName, ctx.info.id)
  if not ok then warn_paused(ctx.input.sourceName, e) end
end

-- Sources that were paused for operations which are no more.
function M.resume_all()
  for _, record in ipairs(store.list()) do
    for id in pairs(record.paused or {}) do
      if not op.under_way(id) then errors.attempt("letting " .. record.name .. " go on", resume, record.name, id) end
    end
  end
end

function M.run(ctx, up)
  if ctx.info.recovered then tidy(ctx) end
  local source = store.get(ctx.input.sourceName)
  if not source then base.fail("NOT_FOUND", "Workspace not found") end
  if ctx.record and ctx.record.op ~= ctx.info.id then base.fail("CONFLICT", ("Workspace '%s' already exists"):format(ctx.name)) end
  if not ctx.record then
    ctx.record = plan.new_record(ctx.name, source.request or {}, ctx.info.caller)
    ctx.record.repo, ctx.record.depth, ctx.record.branch, ctx.record.cloned, ctx.record.dir = source.repo, source.depth, source.branch, source.cloned, source.dir
    ctx.record.labels = source.labels
    ctx.record.copying = source.name -- until its home is whole
  end
  ctx.before_container = function()
    if ctx.record.copied then return end
    op.progress("prepare", "copying the home of " .. source.name)
    with_source_paused(ctx, source, function() copy(ctx, source) end)
    ctx:patch { copied = true, copying = base.null }
  end
  up(ctx, true, "clone")
end

return M
