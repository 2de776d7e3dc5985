-- The life of a workspace. Each function is one kind of operation (core/ops/kinds.h): it makes a plan and then applies it in named steps. A run that was
-- killed is begun again with the same journal: every step looks at what is there and does what is missing. What a step cannot do, and the operation can do
-- without, is a warning (op.warn). It returns what only the operation knows; the answer is made of that by core/agent/answer.c.
local base = require "base"
local change = require "perry.change"
local container = require "perry.container"
local docker = require "docker"
local errors = require "perry.errors"
local image = require "perry.image"
local leave = require "perry.leave"
local names = require "perry.names"
local network = require "perry.network"
local op = require "op"
local original = require "perry.original"
local plan = require "perry.plan"
local policy = require "policy"
local scripts = require "perry.scripts"
local spec = require "perry.spec"
local steps = require "perry.steps"
local store = require "store"
local sync = require "perry.sync"
local tailnet = require "perry.tailnet"
local tools = require "perry.tools"

local M = {}

-- --- what one run knows ---

local Context = {}
Context.__index = Context

function Context:patch(changes) self.record = store.patch(self.name, changes) end
function Context:reload() self.record = store.get(self.name) end

local function context()
  local info = op.info()
  return setmetatable({ info = info, name = info.workspace, input = info.input, record = store.get(info.workspace) }, Context)
end

local function need(ctx)
  if not ctx.record then base.fail("NOT_FOUND", "Workspace not found") end
end

local function facts(ctx, reason) return plan.facts(reason, ctx.record, ctx.info.caller) end

-- An action that nobody waits for.
local function action(ctx, point, more)
  local ev = { kind = point, at = base.now() // 1000, operation = ctx.info.id }
  for k, v in pairs(more or {}) do ev[k] = v end
  base.later("actions", "action", { point = point, workspace = ctx.name, facts = facts(ctx, ctx.info.kind), ev = ev })
end

-- An action that is waited for; that it fails changes nothing.
local function ask_action(ctx, point)
  local ev = { kind = point, at = base.now() // 1000, operation = ctx.info.id }
  local ok, e = errors.try(policy.ask, point, facts(ctx, ctx.info.kind), { ev = ev })
  if not ok then op.warn(point, point .. ": " .. errors.message(e)) end
end

local function tell_recovered(ctx)
  if not ctx.info.recovered then return end
  local text = ("finished the %s of '%s' that was interrupted at step '%s'"):format(ctx.info.kind, ctx.name, steps.interrupted_at(ctx.info))
  base.log("info", text)
  op.event { kind = "recovered", workspace = ctx.name, operation = ctx.info.id, step = steps.interrupted_at(ctx.info), message = text }
end

-- --- the plan ---

-- A recovered run goes on with the plan that it was begun with.
local function make_plan(ctx, reason)
  ctx.plan = ctx.info.recovered and ctx.info.journal and ctx.info.journal.plan or nil
  if not ctx.plan then
    ctx.counted = store.count()
    ctx.plan = plan.make(reason, ctx.record, ctx.info.caller)
    op.save_plan(ctx.plan)
  end
  ctx.tools = tools.name()
  ctx.hash = spec.hash(ctx.plan, ctx.tools)
end

-- --- the steps ---

-- The image's id. A container that is there can be started without it; it is by the one that it was made of.
local function image_for(ctx)
  local ok, id = errors.try(image.ensure, ctx.plan.image, "prepare")
  if ok then return id end
  local there = not ctx.recreate and not errors.cancelled(id) and ctx.record.id and container.find(ctx)
  if not there then error(id, 0) end
  op.warn("prepare", errors.message(id) .. "; the container that is there is used as it is")
  return there.Config.Labels["perry.base"] or there.Image
end

local function prepare(ctx)
  if not ctx.record.id then
    container.need_free(ctx.name)
    -- A home that outlived its workspace (delete --keep-home) is used again, and is not ours to remove should this fail.
    ctx.record.homeKept = docker.volume_inspect(names.home_volume(ctx.name)) ~= nil or nil
    ctx.record.op = ctx.info.id
    ctx.record = store.create(ctx.record)
    ctx.recorded = true
    plan.admit_again(ctx, ctx.reason)
  end
  ctx.image_id = ctx.image_id or image_for(ctx)
  if ctx.before_container then ctx.before_container() end -- a clone copies the volumes
  container.ensure(ctx)
end

local function run_scripts(ctx)
  local before = ctx.info.recovered and steps.before(ctx.info, "scripts")
  if not ctx.made and before and (before.status == "done" or before.status == "skipped") then return end
  if not scripts.wanted(ctx) then return steps.skip("scripts") end
  steps.run("scripts", function() return scripts.run(ctx) end)
end

local function join_beside(ctx, fn)
  tailnet.begin(ctx, function() return facts(ctx, ctx.info.kind) end)
  local ok, e = xpcall(fn, base.guard)
  if tailnet.finish(ctx) then action(ctx, "on_joined", { hostname = ctx.record.tailnet.hostname }) end
  if not ok then error(e, 0) end
  op.check()
end

local function bring_up(ctx)
  op.steps(base.list(steps.startup))
  steps.run("prepare", function() prepare(ctx) end)
  steps.run("start", function() container.start(ctx) end)
  -- It joins its tailnet beside what follows.
  join_beside(ctx, function()
    steps.run("sync", function() sync.run(ctx) end)
    ctx.up = true
    run_scripts(ctx)
  end)
end

-- --- how it ends ---

-- What the workspace goes on showing as its error until the next start.
local function error_to_show()
  local texts = {}
  for _, w in ipairs(op.warnings()) do
    if w.step == "scripts" then texts[#texts + 1] = w.message end
  end
  return #texts > 0 and { step = "scripts", message = table.concat(texts, "\n") } or base.null
end

local function ended_well(ctx, new)
  ctx:patch {
    state = "ready", desired = "running", lastUsed = base.now(), op = base.null, error = error_to_show(),
    ttlFrom = ctx.record.ttl and base.now() or nil,
  }
  tell_recovered(ctx)
  if #store.spares() < store.spares_wanted() then base.later("upkeep", "spare") end
  base.later("upkeep", "refresh")
  if new then action(ctx, "on_created") end
  action(ctx, "on_started")
end

-- Goes on when it fails, which is part of what the operation ends with.
local function undo(ctx, what, fn, ...)
  local ok, e = errors.try(fn, ctx, ...)
  if not ok then op.warn("undo", what .. ": " .. errors.message(e), ("perry start %s, or perry delete %s"):format(ctx.name, ctx.name)) end
  return ok
end

-- A workspace that did not come to be leaves nothing behind. One whose container runs stays although its clone or a script failed: the user can look.
local function ended_badly(ctx, new, e)
  if op.stopping() or not (ctx.record and ctx.record.id) then error(e, 0) end
  if new and not ctx.up then
    undo(ctx, "leaving the tailnet", function() leave.undo(ctx, facts(ctx, "delete")) end)
    if undo(ctx, "undoing the creation", container.undo) then
      undo(ctx, "removing its Tailscale state", leave.remove_state)
      store.delete(ctx.name)
    else
      -- The engine is away, most likely: what is left is known, and start goes on with it or delete removes it.
      errors.attempt("noting the failure", ctx.patch, ctx, { state = "error", op = base.null, error = { message = errors.message(e) } })
    end
    error(e, 0)
  end
  errors.attempt("noting the failure", ctx.patch, ctx, {
    state = "ready", op = base.null, error = not errors.cancelled(e) and { message = errors.message(e) } or nil,
  })
  if not errors.cancelled(e) then action(ctx, "on_failed", { error = errors.message(e) }) end
  error(e, 0)
end

local function up(ctx, new, reason)
  ctx.reason = reason
  local ok, e = xpcall(function()
    if not ctx.plan then make_plan(ctx, reason) end
    bring_up(ctx)
    ended_well(ctx, new)
  end, base.guard)
  if not ok then ended_badly(ctx, new, e) end
end

-- --- create, start, restart ---

-- In one that runs already, a join that failed is tried again; what else is wrong with it since its last start is said again.
local function retry_join(ctx)
  local e = ctx.record.error
  if e then op.warn(e.step or "start", e.message) end
  if not tailnet.can_retry(ctx) then return tailnet.warn_again(ctx) end
  if not ctx.plan then make_plan(ctx, "start") end
  op.steps(base.list { steps.startup[#steps.startup] })
  join_beside(ctx, function() end)
end

-- Is this the creation of the workspace, or the second half of one that was killed?
local function is_new(ctx)
  return not ctx.record or (ctx.record.state == "creating" and ctx.record.op == ctx.info.id)
end

local function create(ctx)
  local caller = ctx.info.caller
  plan.need_repo(ctx.name, ctx.input)
  if not ctx.record then ctx.record = plan.new_record(ctx.name, ctx.input, caller) end
  up(ctx, true, "create")
end

function M.create()
  local ctx = context()
  if not is_new(ctx) then base.fail("CONFLICT", ("Workspace '%s' already exists"):format(ctx.name)) end
  create(ctx)
end

-- Seconds that it runs after each start, 0 takes them away. ttlFrom: this count of them.
local function time_to_live(seconds)
  if seconds <= 0 then return { ttl = base.null, ttlFrom = base.null } end
  return { ttl = seconds, ttlFrom = base.now() }
end

-- A part of a home is no home. What the user does about it is said, and not done for him.
local function need_whole(ctx)
  local from = ctx.record.copying
  if from and ctx.record.op ~= ctx.info.id then
    base.fail("PRECONDITION_FAILED", ("the home of '%s' was not copied whole from '%s': perry delete %s, then perry clone %s %s"):format(ctx.name, from, ctx.name,
      from, ctx.name))
  end
end

-- A start of what runs does what is asked of it as it runs, and notes that it is used. One that was killed while it brought the workspace up goes on.
local function already_up(ctx)
  if steps.before(ctx.info, "start") or ctx.record.remake or ctx.record.state ~= "ready" then return false end
  local current = ctx.record.containerId and docker.inspect(ctx.record.containerId)
  if not (current and current.State.Running) then return false end
  container.wake(current)
  network.reconnect(ctx, current)
  store.container(ctx.name, current.State.Paused and docker.inspect(current.Id) or current)
  ctx:patch { desired = "running", lastUsed = base.now() }
  ctx.container = current.Id
  return true
end

-- What this request asks for is added to what was asked for before.
local function asked(ctx)
  ctx:patch {
    desired = "running", lastUsed = base.now(), labels = ctx.input.labels, request = plan.request(ctx.record.request, ctx.input),
    stopReason = base.null,
  }
  if ctx.input.ttl then ctx:patch(time_to_live(ctx.input.ttl)) end
end

function M.start()
  local ctx = context()
  if is_new(ctx) then return create(ctx) end
  need_whole(ctx)
  change.repo(ctx)
  local running, news = already_up(ctx), change.news(ctx)
  asked(ctx)
  if not running then return up(ctx, false, "start") end
  if news then
    make_plan(ctx, "start")
    change.apply(ctx, news)
  end
  retry_join(ctx)
end

function M.restart()
  local ctx = context()
  need(ctx)
  need_whole(ctx)
  ctx.recreate = ctx.input.recreate == true
  asked(ctx)
  -- A refusal comes before anything stops, and so does an image that is not to be had.
  local ok, e = xpcall(function()
    make_plan(ctx, "restart")
    if not ctx.record.remake then ctx.image_id = image_for(ctx) end
  end, base.guard)
  if not ok then error(e, 0) end
  -- Interrupted after the stop: what runs now was started by this very operation.
  local before = ctx.info.recovered and steps.before(ctx.info, "start")
  if not (before and before.status ~= "pending") and ctx.record.containerId and docker.inspect(ctx.record.containerId) then
    container.wake(docker.inspect(ctx.record.containerId))
    ask_action(ctx, "on_stopping")
    docker.stop(ctx.record.containerId, 10)
    store.container(ctx.name, docker.inspect(ctx.record.containerId))
  end
  up(ctx, false, "restart")
end

-- --- stop ---

local grace = 10 -- seconds; init passes TERM on and ends before that

function M.stop()
  local ctx = context()
  need(ctx)
  op.steps(base.list { { id = "stop", label = "Stopping container" } })
  steps.run("stop", function()
    local unready = ctx.record.state == "creating" or ctx.record.state == "error"
    ctx:patch { desired = "stopped", stopReason = ctx.input.reason or base.null, state = unready and (ctx.record.copying and "error" or "ready") or nil }
    local current = ctx.record.containerId and docker.inspect(ctx.record.containerId)
    if not current then
      original.stop(ctx.record)
      return store.container(ctx.name, nil)
    end
    if current.State.Running then
      container.wake(current)
      ask_action(ctx, "on_stopping")
      docker.stop(current.Id, grace)
    end
    store.container(ctx.name, docker.inspect(current.Id))
  end)
  tell_recovered(ctx)
  action(ctx, "on_stopped")
end

-- --- delete ---

-- Somebody else's container of that name is left alone. An engine that does not answer says nothing about whose it is.
local function own_container(ctx)
  local ok, current = errors.try(container.find, ctx)
  if ok then return current end
  if not errors.is(current, "CONFLICT") then error(current, 0) end
end

local function remove_all(ctx)
  local record, keep = ctx.record, ctx.input.keepHome == true
  local current = own_container(ctx)
  if current then
    container.wake(current)
    if keep and current.State.Running then docker.stop(current.Id, grace) end
    docker.remove(current.Id)
  end
  container.remove_old(ctx.name)
  original.remove(record)
  store.container(ctx.name, nil)
  if keep then
    store.kv_set("kept-home/" .. ctx.name, { at = base.now() })
  else
    container.remove_volume(ctx.name, names.home_volume(ctx.name))
    if store.kv_get("kept-home/" .. ctx.name) then store.kv_set("kept-home/" .. ctx.name, base.null) end
  end
  container.remove_volume(ctx.name, names.docker_volume(ctx.name))
  leave.remove_state(ctx)
  for _, ref in ipairs { record.kept or false, record.remake and record.remake.commit or false } do
    if ref then errors.attempt("removing the image " .. ref, docker.image_remove, ref) end
  end
  if record.network then
    ctx:patch { network = base.null }
    base.later("upkeep", "release", { network = record.network, subnet = record.subnet })
  end
end

function M.delete()
  local ctx = context()
  -- Killed after the last thing it does; or it cancelled the start that made the workspace, which undid itself.
  if not ctx.record then return end
  local again = ctx.record.state == "deleting" -- one that did not come to its end
  if not again and not ctx.info.recovered then policy.ask("admit", facts(ctx, "delete")) end
  op.steps(base.list { { id = "delete", label = "Deleting workspace" } })
  local gone, left = facts(ctx, "delete"), nil
  steps.run("delete", function()
    own_container(ctx) -- before the record says that it goes
    ctx:patch { state = "deleting", desired = "stopped", deleting = { keepHome = ctx.input.keepHome == true } }
    if not again then ask_action(ctx, "on_deleting") end
    local ok, e = errors.try(function()
      left = leave.run(ctx, gone)
      remove_all(ctx)
      store.delete(ctx.name)
    end)
    if ok then return end
    if not op.stopping() then
      errors.attempt("noting the failure", ctx.patch, ctx, {
        error = { message = ("what is left of it could not be removed: %s; perry delete %s tries again, and so does the agent when it or the engine is started anew")
          :format(errors.message(e), ctx.name) },
      })
    end
    error(e, 0)
  end)
  tell_recovered(ctx)
  base.later("actions", "action", {
    point = "on_deleted", workspace = ctx.name, facts = gone, ev = { kind = "on_deleted", at = base.now() // 1000, operation = ctx.info.id },
  })
  return left and { tailnet = left }
end

-- --- the rest ---

function M.sync()
  local ctx = context()
  need(ctx)
  op.steps(base.list { { id = "sync", label = "Syncing workspace files" } })
  steps.run("sync", function()
    local current = ctx.record.containerId and docker.inspect(ctx.record.containerId)
    if not (current and current.State.Running) then base.fail("PRECONDITION_FAILED", ("Workspace '%s' is not running"):format(ctx.name)) end
    ctx.container = current.Id
    ctx.plan = plan.make("sync", ctx.record, ctx.info.caller)
    sync.again(ctx)
    if ctx.info.caller.kind ~= "agent" then ctx:patch { lastUsed = base.now() } end
  end)
end

function M.clone() require("perry.clone").run(context(), up) end
function M.prune() return require("perry.prune").run(op.info()) end
function M.adopt() return require("perry.adopt").run(op.info()) end
function M.build() return require("perry.build").run(op.info()) end

return M
