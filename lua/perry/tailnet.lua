-- A workspace on its tailnet. tailscaled runs under its init (core/step/tailnet.c); a start asks `perry-step join` to bring it up under its name, beside
-- what else the start does, and takes the answer at the end. Nothing in here stops a start: a workspace that does not join runs, and says why.
local base = require "base"
local docker = require "docker"
local errors = require "perry.errors"
local leave = require "perry.leave"
local names = require "perry.names"
local op = require "op"
local policy = require "policy"
local refusals = require "perry.refusals"
local spec = require "perry.spec"
local steps = require "perry.steps"
local store = require "store"
local sync = require "perry.sync"
local tailnet = require "tailnet"
local tools = require "perry.tools"

local M = {}

local grace = 15 -- seconds beyond the deadline of a join, for a busy engine
local leave_seconds = 10 -- of a join that the collision hook refuses

-- --- the record ---

local function note(ctx, changes)
  changes.at = base.now()
  ctx:patch { tailnet = changes }
end

local function warn(reason, mend) op.warn("tailscale", "not on the tailnet: " .. reason, mend) end

local function fail(ctx, reason, mend)
  local up = ctx.plan.tailscale_up or {}
  mend = mend or refusals.mend(reason, { name = ctx.name, container = names.container(ctx.name), login_server = up.login_server or base.config "tailscale.loginServer" })
  note(ctx, { state = "failed", error = reason, mend = mend, hostname = ctx.plan.hostname })
  warn(reason, mend)
  op.step("tailscale", "error", reason .. "; " .. mend)
end

-- Why this plan does not join although it should, or nil.
local function hindrance(plan, name)
  for _, point in ipairs { "auth_key", "hostname", "tailscale_up" } do
    local e = plan.errors and plan.errors[point]
    if e then return e.message or tostring(e), "perry hooks check, and when it is mended: perry start " .. name end
  end
  local missing = plan.join and tools.no_tailscale()
  if missing then return "there is no tailscale on the tools volume: " .. missing end
end

-- --- one attempt ---

local function deadline() return base.config "tailscale.joinTimeout" or 15 end

local function login_server(ctx, key)
  local up = ctx.plan.tailscale_up or {}
  return up.login_server or key and key.loginServer or nil
end

-- Asks the workspace to join; more: members for perry-step join.
local function ask(ctx, key, more)
  local up = ctx.plan.tailscale_up or {}
  local fields = {
    hostname = ctx.plan.hostname, timeout = deadline(), accept_dns = up.accept_dns or false, accept_routes = up.accept_routes or false,
    ssh = up.ssh or false, login_server = login_server(ctx, key),
  }
  for k, v in pairs(more or {}) do fields[k] = v end
  return docker.exec_start(ctx.container, { names.step, "join" }, tailnet.input(fields, key))
end

-- What a workspace says, brought into shape: what is not of the kind that it should be is as if it were not said.
local shape = {
  did = "^%a+$", state = "^%a+$", dnsName = "^[%w-][%w.-]*$", ip = "^[%x:.]+$", nodeId = "^[%w_-]+$", keyExpiry = "number", tun = "boolean",
  magicDns = "boolean",
}
local longest = 500

local function shaped(said)
  if type(said) ~= "table" then return { error = "perry-step join gave no answer" } end
  local answer = {}
  for name, wanted in pairs(shape) do
    local value = said[name]
    if type(value) == wanted or type(value) == "string" and #value <= longest and value:find(wanted) then answer[name] = value end
  end
  if type(said.error) == "string" and said.error ~= "" then answer.error = said.error:sub(1, longest) end
  local taken = said.taken
  if type(taken) == "table" and type(taken.nodeId) == "string" then answer.taken = { nodeId = taken.nodeId, online = taken.online == true } end
  if not answer.error and not (answer.dnsName and answer.nodeId) then answer.error = "it does not tell its name on the tailnet" end
  return answer
end

local function answer_of(exec)
  local result = docker.exec_wait(exec, (deadline() + grace) * 1000)
  local ok, answer = errors.try(base.decode, result.stdout)
  if not ok then base.fail("INTERNAL_SERVER_ERROR", "perry-step join: " .. (result.stderr ~= "" and result.stderr or "no answer")) end
  return shaped(answer)
end

-- A key is made for this one join only when it needs one: a device that is still logged in does not.
local function made_for_one(join)
  local kind = join["$key"].kind
  return kind == "mint" or kind == "http"
end

-- From here on a device may come of it: that is journalled first.
local function ask_with_key(ctx)
  local key = tailnet.key(ctx.plan.join)
  ctx.joining = leave.joining(ctx, {
    hostname = ctx.plan.hostname, credential = key.credential, keyId = key.id, ephemeral = key.ephemeral, control = login_server(ctx, key),
  })
  ctx.key = { kind = key.kind, fingerprint = key.fingerprint, credential = key.credential, ephemeral = key.ephemeral }
  return ask(ctx, key)
end

-- --- a name that somebody else has ---

local function label_of(dns_name) return dns_name and dns_name:match("^[^.]+") end

-- What hooks may know of the device that has the name.
local function device_of(ctx, taken)
  if not taken then return nil end
  local row = leave.whose(taken.nodeId)
  local in_use = row and store.get(row.workspace)
  local former = row and row.wsId == ctx.record.id -- this workspace's own, whose state was lost: the control server may not know yet that it is gone
  return {
    node_id = taken.nodeId, online = taken.online and not former, kept = row ~= nil and row.state == "kept",
    -- One that a workspace of ours goes on using, stopped or not, does not make way.
    ours = row ~= nil and (row.state ~= "joined" or not in_use or former),
  }
end

local function evicted(ctx, device)
  leave.evict { node = device.node_id, hostname = ctx.plan.hostname, wsId = ctx.record.id }
  return true
end

-- The answer once the collision has been dealt with; nil and a reason: it is not to join under another name.
local function settle_name(ctx, answer, device)
  local label, wanted = label_of(answer.dnsName), ctx.plan.hostname
  if not label or label == wanted then return answer end
  local ev = { kind = "collision", at = base.now() // 1000, operation = ctx.info.id, wanted = wanted, hostname = label, device = device }
  local ok, choice = errors.try(policy.ask, "collision", ctx.facts(), { ev = ev })
  if not ok then op.warn("tailscale", errors.message(choice)) end
  if choice == "refuse" then
    docker.exec(ctx.container, { names.step, "leave", "--timeout", tostring(leave_seconds) }, { timeout = (leave_seconds + grace) * 1000 })
    return nil, ("the name %s is taken on the tailnet, and the collision hook refuses %s"):format(wanted, label)
  end
  if choice == "replace_offline" and device and device.ours and not device.online then
    -- An old device of this very workspace may have been removed meanwhile, as one that nobody uses.
    local replaced, e = errors.try(function() return not leave.whose(device.node_id) or evicted(ctx, device) end)
    if replaced then return answer_of(ask(ctx, nil, { again = true })) end
    op.warn("tailscale", ("%s keeps its place on the tailnet: %s"):format(wanted, errors.message(e)))
  end
  return answer
end

-- --- the step ---

-- Who has the name that was asked for, as far as that is known.
local function whose(ctx)
  local taken = ctx.taken
  local row = taken and leave.whose(taken.nodeId)
  local owner = row and ("the workspace %s of this agent (%s)"):format(row.workspace, row.state) or taken and "the device " .. taken.nodeId or "another device"
  return ("%s has the name %s"):format(owner, ctx.plan.hostname)
end

local function connected(ctx, answer)
  local label, key = label_of(answer.dnsName), ctx.key or {}
  note(ctx, {
    state = "connected", hostname = label, dnsName = answer.dnsName, ip = answer.ip, nodeId = answer.nodeId, keyExpiry = answer.keyExpiry or base.null,
    tun = answer.tun, magicDns = answer.magicDns, error = base.null, mend = base.null, keyKind = key.kind, key = key.fingerprint,
    credential = key.credential, ephemeral = key.ephemeral,
  })
  local shown = answer.dnsName .. (answer.ip and " (" .. answer.ip .. ")" or "")
  if label ~= ctx.plan.hostname then shown = ("%s; %s"):format(shown, whose(ctx)) end
  sync.named(ctx)
  op.step("tailscale", "done", shown)
  return answer.did ~= "nothing"
end

local function take(ctx, exec)
  local answer = answer_of(exec)
  if answer.error and answer.state == "NeedsLogin" and not ctx.joining then answer = answer_of(ask_with_key(ctx)) end
  local reason = answer.error
  ctx.taken = answer.taken
  local device = device_of(ctx, answer.taken) -- before it is noted that the workspace has another device now
  if not reason and answer.nodeId and ctx.joining then
    leave.joined(ctx, ctx.joining, answer)
    ctx.joining = nil
  elseif not reason then
    leave.renamed(ctx)
  end
  if not reason then answer, reason = settle_name(ctx, answer, device) end
  if reason or answer.error then
    reason = reason or answer.error
    if ctx.joining and refusals.is_refusal(reason) then leave.not_joined(ctx.joining) end
    return fail(ctx, reason)
  end
  return connected(ctx, answer)
end

-- Begins to join, when that is planned; finish must follow. facts: a function that gives those of this workspace, for hooks.
function M.begin(ctx, facts)
  ctx.facts = facts
  local reason, mend = hindrance(ctx.plan, ctx.name)
  if reason then return fail(ctx, reason, mend) end
  if not ctx.plan.join then
    if ctx.record.tailnet and ctx.record.tailnet.state ~= "none" then note(ctx, { state = "none", error = base.null, mend = base.null }) end
    return steps.skip("tailscale")
  end
  local ok, e = errors.try(function()
    op.step("tailscale", "running")
    note(ctx, { state = "pending", hostname = ctx.plan.hostname, error = base.null, mend = base.null })
    local known = ctx.record.tailnet and ctx.record.tailnet.nodeId
    ctx.join = made_for_one(ctx.plan.join) and known and ask(ctx) or ask_with_key(ctx)
  end)
  if not ok then fail(ctx, errors.message(e)) end
end

-- Takes what came of it. True: it is there anew, or under another name. An operation that was cancelled leaves it as it is: the container goes.
function M.finish(ctx)
  if not ctx.join then return false end
  local ok, e = errors.try(take, ctx, ctx.join)
  ctx.join = nil
  if ok then return e end
  if errors.cancelled(e) or op.stopping() then
    op.step("tailscale", "cancelled")
    return false
  end
  fail(ctx, errors.message(e))
  return false
end

-- Of one whose join failed and cannot be tried again as it runs.
function M.warn_again(ctx)
  local t = ctx.record.tailnet
  if t and t.state == "failed" then warn(t.error or "it did not join", t.mend) end
end

-- May a workspace that runs try again? Its container must have been made for it.
function M.can_retry(ctx)
  if not ctx.record.tailnet or ctx.record.tailnet.state ~= "failed" then return false end
  return spec.joins(docker.inspect(ctx.container))
end

return M
