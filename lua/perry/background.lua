-- What nobody waits for: spare networks, actions, and what the agent does when it has come up.
local base = require "base"
local clone = require "perry.clone"
local docker = require "docker"
local errors = require "perry.errors"
local files = require "files"
local names = require "perry.names"
local network = require "perry.network"
local op = require "op"
local plan = require "perry.plan"
local policy = require "policy"
local spec = require "perry.spec"
local store = require "store"
local tools = require "perry.tools"

local M = {}

function M.spare() network.make_spares() end

-- After a delete. What others left behind is looked for then, too.
function M.release(arg)
  network.give_back(arg.network, arg.subnet)
  network.tidy()
end

-- One on_* action; its failure is shown on the workspace, and undoes nothing.
function M.action(arg)
  local facts = arg.facts or { ws = { agent = { id = store.agent_id(), version = base.version(), hostname = base.hostname() } } }
  local ok, e = errors.try(policy.ask, arg.point, facts, { ev = arg.ev or { kind = arg.point, at = base.now() // 1000 } })
  if ok then return end
  base.log("warn", errors.message(e))
  op.event { kind = "hook", workspace = arg.workspace, point = arg.point, error = errors.message(e), data = type(e) == "table" and e.data or nil }
  if arg.workspace and store.get(arg.workspace) then
    errors.attempt("noting it", store.patch, arg.workspace, { hookError = { point = arg.point, message = errors.message(e) } })
  end
end

-- Does the plan of today need another container than the one that is there, or name another image?
local function outdated(record, ids)
  local ok, today = errors.try(plan.look, "start", record)
  if not ok then return record.outdated or false end -- a hook that fails says so at the next start
  if spec.hash(today, tools.name()) ~= record.specHash then return true end
  if ids[today.image] == nil then ids[today.image] = (docker.image_inspect(today.image) or {}).Id or false end
  return ids[today.image] and ids[today.image] ~= record.imageId or false
end

function M.mark_outdated()
  local ids = {}
  for _, record in ipairs(store.list()) do
    if record.specHash and record.state == "ready" then
      local is = outdated(record, ids)
      if is ~= (record.outdated or false) then
        errors.attempt("outdated", store.patch, record.name, { outdated = is or base.null })
      end
    end
  end
end

-- The same, when a file that decides has changed since the last time.
function M.refresh()
  local seen = {}
  local function note(path)
    local st = files.stat(path)
    seen[#seen + 1] = st and ("%s:%d:%d"):format(path, st.size, st.mtime) or nil
  end
  local config, lock, user, machine = base.policy_places()
  note(config)
  note(lock)
  for _, dir in ipairs { user, user .. "/lib", machine } do
    for _, name in ipairs(files.names(dir)) do note(dir .. "/" .. name) end
  end
  local print = base.sha256(table.concat(seen, "\n"))
  if store.kv_get("policy_print") == print then return end
  M.mark_outdated()
  store.kv_set("policy_print", print)
end

-- One that runs and was taken off its network goes back. What an operation does with it meanwhile is not in the way: a container that stops is on no
-- network, and is left alone; one that was stopped in between is on its network when it starts.
function M.reconnect(arg)
  local record = store.get(arg.workspace)
  if not (record and record.network and record.containerId and record.state == "ready") then return end
  local current = docker.inspect(record.containerId)
  if not (current and current.State.Running) then return end
  if network.put_back(record, function(change) store.patch(record.name, change) end, current) then
    base.log("warn", record.name .. ": it was taken off its network, and is on it again")
    op.event { kind = "network", workspace = record.name, state = "reconnected" }
  end
end

-- Those that were taken off while nobody looked.
local function reconnect_all()
  for _, record in ipairs(store.list()) do
    if store.status(record.name) == "running" then errors.attempt(record.name .. ": its network", M.reconnect, { workspace = record.name }) end
  end
end

-- What should be running and is not: after a reboot, an engine's restart. Those that an operation has in hand are its business.
local function bring_back()
  local tries = 120
  while not store.wait_ready(500) do
    tries = tries - 1
    if tries == 0 or base.stopping() then return end
  end
  clone.resume_all()
  for _, record in ipairs(store.list()) do
    if record.state == "deleting" then
      local ok, e = errors.try(op.submit, "delete", record.name, { keepHome = record.deleting ~= nil and record.deleting.keepHome })
      if not ok and not errors.is(e, "CONFLICT") then base.log("warn", record.name .. ": " .. errors.message(e)) end
    end
    if record.desired == "running" and record.state == "ready" and store.status(record.name) ~= "running" then
      local ok, e = errors.try(op.submit, "start", record.name, { reason = "boot" })
      if not ok and not errors.is(e, "CONFLICT") then base.log("warn", record.name .. ": " .. errors.message(e)) end
    end
  end
end

-- Helpers of an earlier life of the agent, which was killed.
local function remove_helpers()
  for _, c in ipairs(docker.list(names.filter())) do
    local life = c.Labels["perry.helper"]
    if life and life ~= base.run_id() then errors.attempt("removing a helper container", docker.remove, c.Id) end
  end
end

-- The engine was away and is back; what ran in it does not, unless it can keep containers alive meanwhile.
-- Networks outlive that, so the spare ones are what they were (and reconciling is for the boot alone: it takes the list of last time).
function M.engine_back()
  errors.attempt("helpers", remove_helpers)
  errors.attempt("starting what should run", bring_back)
  errors.attempt("networks of what runs", reconnect_all)
  errors.attempt("networks", network.tidy)
  errors.attempt("spare network", network.make_spares)
end

-- The agent ends; an engine that does not answer is not waited for.
function M.ending()
  if store.wait_ready(0) then network.give_up_spares() end
end

function M.boot()
  -- The engine may come up after us.
  local ok, e
  for attempt = 1, 600 do
    ok, e = errors.try(plan.engine)
    if ok or base.stopping() then break end
    if attempt == 1 then base.log("warn", "waiting for the engine: " .. errors.message(e)) end
    base.sleep(1000)
  end
  if not ok then return end
  errors.attempt("tools", tools.name) -- their hash takes a moment, which the first start need not wait for
  errors.attempt("helpers", remove_helpers)
  errors.attempt("networks", network.reconcile)
  errors.attempt("networks of agents that ended", network.remove_of_the_dead)
  errors.attempt("outdated", M.mark_outdated)
  errors.attempt("starting what should run", bring_back)
  base.later("actions", "action", { point = "on_agent_start" })
  errors.attempt("spare network", network.make_spares)
  errors.attempt("networks of what runs", reconnect_all)
end

return M
