-- A second workspace with the first one's home (and inner Docker) as it is now; never its Tailscale state, nor its ssh host keys.
local base = require "base"
local container = require "perry.container"
local docker = require "docker"
local errors = require "perry.errors"
local names = require "perry.names"
local op = require "op"
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

local script = "set -e; i=1; while [ -d /from$i ]; do cp -a /from$i/. /to$i/; i=$((i+1)); done; rm -rf /to1/.perry"

-- Copies in a container of the source's image that has all the volumes; waits, and looks whether it should stop.
local function copy(ctx, source)
  local helper = "perry-clone-" .. ctx.info.id
  local mounts = base.list()
  for i, p in ipairs(pair(ctx, source)) do
    docker.volume_create(p[2], names.labels(ctx.name))
    mounts[#mounts + 1] = { Type = "volume", Source = p[1], Target = "/from" .. i, ReadOnly = true }
    mounts[#mounts + 1] = { Type = "volume", Source = p[2], Target = "/to" .. i }
  end
  docker.remove(helper) -- of a run that was killed; what it copied is copied again
  local id = docker.create(helper, {
    Image = source.imageId, User = "0", Entrypoint = base.list { "/bin/sh", "-c", script }, Cmd = base.list(), Labels = names.helper_labels(),
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
    if state.ExitCode ~= 0 then
      local said = docker.call("GET", "/containers/" .. id .. "/json")
      base.fail("INTERNAL_SERVER_ERROR", ("copying the home failed with exit code %d%s"):format(state.ExitCode, said.State.Error))
    end
  end)
  errors.attempt("removing a helper container", docker.remove, id)
  if not ok then error(e, 0) end
end

-- Nothing is written meanwhile: a running source is paused. One that was left paused by a killed run goes on again.
local function with_source_paused(source, fn)
  local current = source.containerId and docker.inspect(source.containerId)
  local running = current and current.State.Running
  if running and not current.State.Paused then docker.call("POST", "/containers/" .. current.Id .. "/pause") end
  local ok, e = errors.try(fn)
  if running then
    local resumed, why = errors.try(docker.call, "POST", "/containers/" .. current.Id .. "/unpause")
    if not resumed then
      op.warn("prepare", ("%s stays paused: %s"):format(source.name, errors.message(why)), "docker unpause " .. names.container(source.name))
    end
  end
  if not ok then error(e, 0) end
end

local function copied(ctx) return ctx.record.copied end

function M.run(ctx, up)
  local source = store.get(ctx.input.sourceName)
  if not source then base.fail("NOT_FOUND", "Workspace not found") end
  if ctx.record and ctx.record.op ~= ctx.info.id then base.fail("CONFLICT", ("Workspace '%s' already exists"):format(ctx.name)) end
  if not ctx.record then
    ctx.record = plan.new_record(ctx.name, source.request or {}, ctx.info.caller)
    ctx.record.repo, ctx.record.branch, ctx.record.cloned, ctx.record.dir = source.repo, source.branch, source.cloned, source.dir
    ctx.record.labels = source.labels
  end
  ctx.before_container = function()
    if copied(ctx) then return end
    op.progress("prepare", "copying the home of " .. source.name)
    with_source_paused(source, function() copy(ctx, source) end)
    ctx:patch { copied = true }
  end
  up(ctx, true, "clone")
end

return M
