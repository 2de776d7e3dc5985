-- Devices of ours on a tailnet, from before they join until they are known to be gone. Each has a row in the outbox, which outlives its workspace:
--   joining      a join is under way or was interrupted; "node" is not known yet
--   joined       the device is on the tailnet
--   leaving      to be removed; what could not be done at once is tried again until it is done
--   left-behind  nobody can remove it: there is no credential, and logging out only expires it
--   kept         the deregister hook said "keep"; a new workspace of this name resumes it
local base = require "base"
local container = require "perry.container"
local docker = require "docker"
local errors = require "perry.errors"
local names = require "perry.names"
local op = require "op"
local policy = require "policy"
local spec = require "perry.spec"
local store = require "store"
local tailnet = require "tailnet"
local tools = require "perry.tools"

local M = {}

local logout_seconds = 5 -- how long a delete waits for a control server that may be silent
M.inline_ms = 4000 -- the same for its API
local first_look_ms = 15000 -- a delete does it itself first; the worker takes over when that did not get there
M.longest_wait_ms = 20000 -- between tries
local longest_logout_wait_ms = 600 * 1000 -- between those that take a container
local control_timeout_ms = 3600 * 1000 -- within that every control server drops an ephemeral device that is gone
local join_grace_ms = 15 * 1000

local function cleared(v)
  if v == nil then return base.null end
  return v
end

-- --- rows ---

-- kept: the device whose state is on the volume of this name; a hook said so, or it could not log out yet.
local function live_rows(ctx)
  local mine, kept = {}, nil
  for _, row in ipairs(store.outbox(ctx.name)) do
    if row.wsId == ctx.record.id and (row.state == "joining" or row.state == "joined") then mine[#mine + 1] = row end
    if row.state == "kept" or row.logout and row.wsId ~= ctx.record.id then kept = row end
  end
  return mine, kept
end

-- The row of a device by its id, or nil: it is none of ours. like: a row of the same control server; ids of another one are other devices.
function M.whose(node, like)
  for _, row in ipairs(store.outbox()) do
    if row.node == node and (not like or row.control == like.control) then return row end
  end
end

-- The volume with the keys of a workspace's device goes, unless another row has use for it.
local function remove_state(name)
  local volume = names.tailscale_volume(name)
  if not M.keeps(name) and container.own_volume(name, volume) then container.remove_volume(name, volume) end
end

-- A row that waited to be logged out does not any more.
local function logged_out(row)
  if not row.logout then return end
  store.outbox_patch(row.id, { logout = base.null })
  row.logout = nil
  if not store.get(row.workspace) then errors.attempt("removing the Tailscale state of " .. row.workspace, remove_state, row.workspace) end
end

local function forget(row, why)
  logged_out(row)
  store.outbox_delete(row.id)
  if row.quiet then return end
  base.log("info", ("%s: the device %s%s %s"):format(row.workspace, row.hostname or "?", row.node and " (" .. row.node .. ")" or "", why))
  op.event { kind = "device", workspace = row.workspace, state = "gone", hostname = row.hostname, message = why }
end

local function leave_behind(row, why)
  store.outbox_patch(row.id, { state = "left-behind", error = why, next = base.null, tries = base.null })
  base.log("warn", ("%s: the device %s is left behind: %s"):format(row.workspace, row.hostname or "?", why))
  op.event { kind = "device", workspace = row.workspace, state = "left-behind", hostname = row.hostname, message = why }
end

-- --- joining ---

-- Before `tailscale up`: about = {hostname, credential, keyId, ephemeral, control}, control being the login server (none: Tailscale's). The row of this attempt.
function M.joining(ctx, about)
  local mine, kept = live_rows(ctx)
  if kept then
    if kept.logout then container.remove_helpers(names.tailscale_volume(ctx.name)) end
    store.outbox_patch(kept.id, {
      state = "joined", wsId = ctx.record.id, resumed = kept.state == "kept", how = base.null, logout = base.null, next = base.null, tries = base.null,
      error = base.null,
    })
  end
  for _, row in ipairs(mine) do
    -- An attempt that was interrupted, without a key that could name its device: it is made again with the same state, so it is the same device.
    if not row.node and not row.keyId then
      return store.outbox_patch(row.id, {
        hostname = about.hostname, credential = cleared(about.credential), keyId = about.keyId, ephemeral = cleared(about.ephemeral),
        control = cleared(about.control), since = base.now(),
      })
    end
  end
  return store.outbox_put {
    workspace = ctx.name, wsId = ctx.record.id, state = "joining", hostname = about.hostname, credential = about.credential,
    keyId = about.keyId, ephemeral = about.ephemeral, control = about.control,
  }
end

local function first_label(dns_name) return dns_name and dns_name:match("^[^.]+") end

-- After it: node = {nodeId, dnsName}. The same device as before is noted once; another one means that the old one is not used any more and leaves. So do
-- attempts that came to nothing: their keys are made void.
function M.joined(ctx, attempt, node)
  local rows, known = live_rows(ctx), nil
  for _, row in ipairs(rows) do
    if row.id ~= attempt.id and row.node == node.nodeId then known = row end
  end
  -- The name that was asked for tells the device from a stranger's, should its id be given out again.
  local changes = { hostname = first_label(node.dnsName) or attempt.hostname, asked = attempt.hostname, state = "joined" }
  if known then
    changes.credential = attempt.credential -- it can remove this one as well
    store.outbox_patch(known.id, changes)
  else
    changes.node, changes.at = node.nodeId, base.now()
    store.outbox_patch(attempt.id, changes)
  end
  local left = false
  for _, row in ipairs(rows) do
    local ours = row.id == (known or attempt).id
    if not ours and not row.node and not row.keyId then
      store.outbox_delete(row.id)
    elseif not ours then
      left = true
      store.outbox_patch(row.id, { state = "leaving", next = 0, quiet = row.id == attempt.id or nil })
    end
  end
  if left then base.leave_later(0) end
end

-- It went on with the device that it has, under the name that it was asked to have now.
function M.renamed(ctx)
  for _, row in ipairs(live_rows(ctx)) do
    if row.node and row.asked ~= ctx.plan.hostname then store.outbox_patch(row.id, { asked = ctx.plan.hostname }) end
  end
end

-- It was refused, says the workspace. Of a key that was made for it the control server is asked.
function M.not_joined(attempt)
  if not attempt.keyId then return store.outbox_delete(attempt.id) end
  store.outbox_patch(attempt.id, { state = "leaving", next = 0 })
  base.leave_later(0)
end

-- --- the API ---

-- The credential that can remove the device: the one of its row, as long as that is for the same server (ids of another one are other devices), else any
-- that is configured for it.
function M.credential_for(row)
  if row.credential and tailnet.serves(row.credential, row.control) then return row.credential end
  return tailnet.credential(row.control)
end

-- A device that a row of somebody else has, as far as that is proven (core/tailscale/evidence.h); a workspace's own rows need no proof among each other.
local function is_claimed(device, row)
  for _, other in ipairs(store.outbox()) do
    if other.id ~= row.id and other.node == device.id and other.control == row.control
      and (other.wsId == row.wsId or tailnet.evidence(other, device) == "for") then
      return true
    end
  end
end

-- Which of the devices that the control server lists is the row's? The key that was made for the join names it for certain; else one that may be it is left for
-- somebody who knows. otherwise: what became of it when there is none.
local function delete_listed(row, credential, timeout, otherwise)
  local doubtful
  for _, device in ipairs(tailnet.devices(credential, timeout)) do
    local evidence, keys = tailnet.evidence(row, device), row.keyId and device.keyId
    if keys and device.keyId ~= row.keyId or is_claimed(device, row) then
      evidence = "against"
    elseif keys then
      tailnet.device_delete(credential, device.id, timeout)
      return "was removed from the tailnet"
    end
    if evidence == "for" or evidence == "maybe" or evidence == "none" and device.id == row.node then doubtful = device end
  end
  if not doubtful then return otherwise end
  return nil, ("it is not certain which device is its own; %s (%s) may be it. If it is, remove it in the admin console, then: perry tailnet prune --forget")
    :format(doubtful.name or "?", doubtful.id)
end

-- The id in the row is what the workspace said.
local function delete_node(row, credential, timeout)
  local device = tailnet.device(credential, row.node, timeout)
  if not device or tailnet.evidence(row, device) ~= "for" then return delete_listed(row, credential, timeout, "is gone") end
  tailnet.device_delete(credential, row.node, timeout)
  return "was removed from the tailnet"
end

-- When the join was over, at the latest.
local function latest(row) return math.min(base.now(), row.since + (base.config "tailscale.joinTimeout" or 15) * 1000 + join_grace_ms) end

-- It is not known whether it joined. Nobody joins with its key from here on.
local function delete_by_key(row, credential, timeout)
  tailnet.key_revoke(credential, row.keyId, timeout)
  if row.quiet then return "did not join" end -- the device that is there has a row of its own
  row.asked, row.at = row.hostname, latest(row)
  return delete_listed(row, credential, timeout, "did not join")
end

-- An old device of ours makes way for another one of its name, where the control server's word is that it has the name, and is not in use: about = {node, hostname,
-- wsId (the workspace that wants the name)}. Raises when it stays.
function M.evict(about)
  local row = M.whose(about.node)
  local credential = row and M.credential_for(row)
  if not credential then base.fail("PRECONDITION_FAILED", "nobody can remove the old device: there is no API credential (tailscale.credentials) for its control server") end
  local device = tailnet.device(credential, about.node)
  if not device then return end
  local former = row.wsId == about.wsId
  if tailnet.evidence(row, device) ~= "for" then base.fail("CONFLICT", "it is not certain that the old device is one of ours") end
  if device.name ~= about.hostname then base.fail("CONFLICT", ("the old device is called %s"):format(device.name or "?")) end
  if device.online and not former then base.fail("CONFLICT", "the old device is online") end
  tailnet.device_delete(credential, about.node)
  forget(row, "was removed from the tailnet")
end

-- --- without the API ---

-- An ephemeral device that logged out is gone; one that did not is dropped by its control server.
local function settle(row, why)
  if row.out and row.ephemeral then return forget(row, "logged out") end
  if row.ephemeral then
    if (row["until"] or math.huge) < base.now() then return forget(row, "was ephemeral; its control server has dropped it by now") end
    if not row["until"] then
      store.outbox_patch(row.id, {
        ["until"] = base.now() + control_timeout_ms, next = base.now() + control_timeout_ms,
        error = "it could not log out; being ephemeral, its control server drops it by itself",
      })
    end
    return
  end
  leave_behind(row, why)
end

local function wants_api(row)
  if not row.how then return true end
  for _, step in ipairs(row.how) do
    if step == "api" then return true end
  end
  return false
end

local no_credential = "there is no API credential (tailscale.credentials) for its control server, and logging out only expires a device that is not ephemeral"
local only_logout = "the deregister hook asked for a logout only, which does not remove a device that is not ephemeral"

local function removable_by(row) return wants_api(row) and M.credential_for(row) or nil end

local function exec_leave(id)
  local ok, answer = errors.try(docker.exec, id, { names.step, "leave", "--timeout", tostring(logout_seconds) }, {
    user = "0", cancel = false, timeout = (logout_seconds + 3) * 1000,
  })
  if not ok then return { left = false, error = errors.message(answer) } end
  local fine, told = pcall(base.decode, answer.stdout)
  if fine and type(told) == "table" then return told end
  return { left = false, error = answer.stderr ~= "" and answer.stderr or ("exit code %d"):format(answer.code) }
end

-- The state of a workspace that does not run holds the device's own keys: a helper with nothing but tailscaled logs it out. It needs no rights.
-- nil: there is no such state, or nothing to run it with.
local function logout_from_state(name, image)
  local volume = names.tailscale_volume(name)
  if not container.own_volume(name, volume) or not (image and docker.image_inspect(image)) then return nil end
  container.remove_helpers(volume)
  local id = docker.create("perry-leave-" .. base.random(8), {
    Image = image, User = "0", Labels = names.helper_labels(),
    Entrypoint = base.list { "/opt/perry/bin/tailscaled" },
    Cmd = base.list {
      "--statedir=/var/lib/tailscale", "--socket=/run/tailscale/tailscaled.sock", "--tun=userspace-networking", "--no-logs-no-support",
    },
    HostConfig = {
      Mounts = base.list {
        { Type = "volume", Source = volume, Target = "/var/lib/tailscale" },
        { Type = "volume", Source = tools.ensure(image), Target = "/opt/perry", ReadOnly = true },
      },
      Tmpfs = { ["/run"] = "rw,mode=755,size=16m" },
    },
  })
  local ok, told = errors.try(function()
    docker.start(id)
    return exec_leave(id)
  end)
  errors.attempt("removing a helper container", docker.remove, id)
  return ok and told or { left = false, error = errors.message(told) }
end

-- What is left to do where only the device's own keys can log it out.
local function log_out_again(row)
  if store.get(row.workspace) then return false, { message = "a new workspace of its name has its state" } end
  local told = logout_from_state(row.workspace, row.logout)
  if told and not told.left then return false, { message = told.error } end
  logged_out(row)
  if told then
    row.out = true
    store.outbox_patch(row.id, { out = true })
  end
  settle(row, no_credential)
  return true
end

-- One try to remove a device. True: there is nothing more to do for it now; else false and the error.
local function attempt(row, timeout)
  local credential = removable_by(row)
  if not credential and row.logout then
    local ok, done, e = errors.try(log_out_again, row)
    return ok and done, ok and e or done
  elseif not credential then
    settle(row, M.credential_for(row) and only_logout or no_credential)
    return true
  end
  local remove = row.node and delete_node or row.keyId and delete_by_key
  local ok, result, doubt = errors.try(remove or function() end, row, credential, timeout)
  if not ok then return false, result end
  if result then
    forget(row, result)
  elseif doubt then
    leave_behind(row, doubt)
  else
    settle(row, "it is not known whether it joined, nor under which id")
  end
  return true
end

local function backoff(tries, e, longest)
  local told = type(e) == "table" and e.data and e.data.retryAfter
  local wait = math.min(longest, 1000 * 2 ^ math.min(tries, 10))
  return math.floor(told and math.max(wait, math.min(told * 1000, 600000)) or wait)
end

local function note_failure(row, e)
  local tries, text = (row.tries or 0) + 1, errors.message(e)
  store.outbox_patch(row.id, { tries = tries, next = base.now() + backoff(tries, e, row.logout and longest_logout_wait_ms or M.longest_wait_ms), error = text })
  if text ~= row.error then base.log("warn", ("%s: the device %s is not removed yet: %s"):format(row.workspace, row.hostname or "?", text)) end
end

-- --- the worker ---

-- Rows whose workspace is gone without a word (a creation that was undone, a record that was removed): nobody uses the device any more.
function M.reconcile(rows)
  local alive = {}
  for _, record in ipairs(store.list()) do alive[record.id] = true end
  for i, row in ipairs(rows) do
    if (row.state == "joining" or row.state == "joined") and not alive[row.wsId] then
      rows[i] = store.outbox_patch(row.id, { state = "leaving", next = 0 }) or row
    end
  end
end

local function is_silence(e) return errors.is(e, "SERVICE_UNAVAILABLE") or errors.is(e, "TIMEOUT") end

-- Tries what is due (all: also what is not). A server that does not answer is asked once a round.
function M.round(all)
  local rows, silent = store.outbox(), {}
  M.reconcile(rows)
  for _, row in ipairs(rows) do
    local credential = row.state == "leaving" and removable_by(row)
    if row.state == "leaving" and (all or (row.next or 0) <= base.now()) and not silent[credential or false] and not base.stopping() then
      local done, e = attempt(row)
      if not done then note_failure(row, e) end
      if credential and not done and is_silence(e) then silent[credential] = e end
    end
  end
end

-- Runs again when the next row is due.
function M.work()
  M.round(false)
  local wait
  for _, row in ipairs(store.outbox()) do
    local left = row.state == "leaving" and math.max(1000, (row.next or 0) - base.now())
    if left then wait = math.min(wait or left, left) end
  end
  if wait then base.leave_later(math.floor(wait)) end
end

-- --- leaving ---

local function has(how, step)
  for _, s in ipairs(how) do
    if s == step then return true end
  end
  return false
end

local function log_out(ctx, rows)
  local mine, current = errors.try(container.find, ctx)
  -- One that was made when nothing was to join has no tailscaled; its device is from before that.
  if mine and current and current.State.Running and spec.joins(current) then return exec_leave(current.Id) end
  for _, row in ipairs(rows) do
    local removable = removable_by(row) and (row.node or row.keyId)
    if not removable and not row.ephemeral then
      op.progress("delete", "logging its device out of the tailnet")
      local ok, told = errors.try(logout_from_state, ctx.name, ctx.record.imageId)
      return ok and told or { left = false, error = errors.message(told) }
    end
  end
end

-- What the hook decides is decided once: a run that was killed goes on with it.
local function decide(rows, facts)
  for _, row in ipairs(rows) do
    if row.how then return row.how end
  end
  local ok, how = errors.try(policy.ask, "deregister", facts)
  if not ok then op.warn("delete", errors.message(how)) end
  return ok and how or base.list { "logout", "api" }
end

local function rows_to_leave(ctx)
  local rows = {}
  for _, row in ipairs(store.outbox(ctx.name)) do
    if row.wsId == ctx.record.id and row.state ~= "left-behind" and not row.quiet then rows[#rows + 1] = row end
  end
  return rows
end

local function keep(ctx, rows)
  local hostname
  for _, row in ipairs(rows) do
    hostname = row.node and row.hostname or hostname
    store.outbox_patch(row.id, { state = "kept", how = "keep", next = base.null })
  end
  return { status = "kept", hostname = hostname or rows[1].hostname, message = ("its device stays on the tailnet; a new workspace '%s' resumes it"):format(ctx.name) }
end

local worst = { left = 0, dropped = 1, pending = 2, ["left-behind"] = 3 }

-- What became of it, for the answer.
local function outcome(rows)
  local result = { status = "left" }
  local now = {}
  for _, row in ipairs(store.outbox()) do now[row.id] = row end
  for _, before in ipairs(rows) do
    local row = now[before.id]
    local status = not row and "left" or row.state == "left-behind" and "left-behind" or row["until"] and "dropped" or "pending"
    if worst[status] >= worst[result.status] then
      result = { status = status, hostname = before.hostname, message = row and row.error }
    end
  end
  return result
end

-- A join with a key that names no device, of which nothing came: the workspace has never been logged in.
local function never_joined(row, told) return told.never and not row.node and not row.keyId end

-- Of a join that was interrupted the workspace may know more; it can have ended no later than it was to.
local function heard(row, told)
  if row.node or not told.nodeId then return { out = told.left } end
  return { out = told.left, node = told.nodeId, asked = row.hostname, at = latest(row) }
end

-- Part of delete, before anything of the workspace is removed: the device logs out and is removed, as the deregister hook says. What does not work now, or
-- takes too long, goes on in the background. nil: it has no device.
function M.run(ctx, facts)
  local rows = rows_to_leave(ctx)
  if #rows == 0 then return nil end
  local how = decide(rows, facts)
  if how == "keep" then return keep(ctx, rows) end
  for i, row in ipairs(rows) do
    rows[i] = store.outbox_patch(row.id, { state = "leaving", how = how, next = base.now() + first_look_ms }) or row
  end
  base.leave_later(first_look_ms)
  local told = has(how, "logout") and log_out(ctx, rows) or {}
  for i, row in ipairs(rows) do
    if told.left ~= nil then rows[i] = store.outbox_patch(row.id, heard(row, told)) or row end
  end
  for i, row in ipairs(rows) do
    local done, e
    local removable = removable_by(row)
    if never_joined(row, told) then
      forget(row, "never joined")
      done = true
    elseif told.left == false and not removable and not row.ephemeral then
      rows[i] = store.outbox_patch(row.id, { logout = ctx.record.imageId }) or row
      row, done, e = rows[i], false, { message = told.error }
    elseif told.timeout and removable then
      done, e = false, { message = told.error }
    else
      done, e = attempt(row, M.inline_ms)
    end
    if not done then
      note_failure(row, e)
      base.leave_later(1000)
    end
  end
  return outcome(rows)
end

-- Part of undoing a creation: a device that was kept, and only resumed, is kept again.
function M.undo(ctx, facts)
  for _, row in ipairs(rows_to_leave(ctx)) do
    if row.resumed then store.outbox_patch(row.id, { state = "kept", wsId = base.null }) end
  end
  return M.run(ctx, facts)
end

-- Does a device need the state on the volume of this name, because a hook kept it or it is still to log out?
function M.keeps(name)
  for _, row in ipairs(store.outbox(name)) do
    if row.state == "kept" or row.logout then return true end
  end
end

function M.remove_state(ctx) remove_state(ctx.name) end

-- Somebody removed the device by hand.
function M.off_the_list(row)
  logged_out(row)
  store.outbox_delete(row.id)
end

return M
