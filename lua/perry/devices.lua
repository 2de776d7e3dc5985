-- The views of our devices on the tailnet, and cleaning up by hand. How they come and go: leave.lua.
local base = require "base"
local errors = require "perry.errors"
local leave = require "perry.leave"
local store = require "store"
local tailnet = require "tailnet"

local M = {}

local warn_before_ms = 14 * 24 * 3600 * 1000
local old_key_ms = 80 * 24 * 3600 * 1000 -- Tailscale's auth keys live for 90 days at most

-- Since when the configured key is known: its expiry cannot be asked for, its age tells something.
local function key_since(fingerprint)
  local known = store.kv_get("tailnet-key")
  if not known or known.fingerprint ~= fingerprint then
    known = { fingerprint = fingerprint, since = base.now() }
    store.kv_set("tailnet-key", known)
  end
  return known.since
end

-- The configured key, which is not shown: {source, since, error}; nil: none.
local function configured_key()
  local key = tailnet.configured()
  return key and { source = key.source, since = key.fingerprint and key_since(key.fingerprint), error = key.error }
end

-- What a key without a credential means for devices.
M.persistent_warning = "no API credential is configured (tailscale.credentials): if this key is not ephemeral, nobody can remove the devices it makes, and they stay "
  .. "in the tailnet when their workspaces are deleted. Use an ephemeral key, or configure an OAuth client (Tailscale) or an API key (Headscale)"

local function key_warnings(key, login_server)
  local warnings = base.list()
  if not key then return warnings end
  if key.error then warnings[#warnings + 1] = "the auth key cannot be used: " .. key.error end
  if key.since and base.now() - key.since > old_key_ms and not login_server then
    warnings[#warnings + 1] = ("the auth key is in use for %d days, and Tailscale's keys live for 90 days at most: make a new one, perry tailnet setup takes it")
      :format((base.now() - key.since) // (24 * 3600 * 1000))
  end
  if not tailnet.credential(login_server) then warnings[#warnings + 1] = M.persistent_warning end
  return warnings
end

local function workspace_views(warnings)
  local list = base.list()
  for _, record in ipairs(store.list()) do
    local t = record.tailnet
    if t then
      list[#list + 1] = {
        name = record.name, hostname = t.hostname, dnsName = t.dnsName, ip = t.ip, state = t.state, key = t.keyKind, error = t.error, mend = t.mend, keyExpiry = t.keyExpiry,
      }
      local expires = t.keyExpiry and (type(t.keyExpiry) == "number" and t.keyExpiry or base.time(t.keyExpiry))
      if expires and expires - base.now() < warn_before_ms then
        warnings[#warnings + 1] = expires <= base.now()
          and ("%s: its device key has expired; start the workspace again with a good auth key"):format(record.name)
          or ("%s: its device key expires in %d days; disable key expiry for it, or join with a tagged key"):format(record.name, (expires - base.now()) // (24 * 3600 * 1000))
      end
    end
  end
  return list
end

local function row_view(row)
  return {
    workspace = row.workspace, hostname = row.hostname, node = row.node, state = row.state, credential = row.credential, ephemeral = row.ephemeral, since = row.since,
    error = row.error, tries = row.tries,
  }
end

-- tailnet.status: nothing is asked of anybody.
function M.status()
  local enabled, login_server, key = base.config "tailscale.enabled" == true, base.config "tailscale.loginServer", configured_key()
  local warnings = enabled and key_warnings(key, login_server) or base.list()
  local credentials, pending = base.list(), base.list()
  for _, name in ipairs(tailnet.credentials()) do credentials[#credentials + 1] = tailnet.about(name) end
  for _, row in ipairs(store.outbox()) do
    if row.state ~= "joined" and row.state ~= "joining" then pending[#pending + 1] = row_view(row) end
    if row.state == "leaving" and row.error and not row["until"] then
      warnings[#warnings + 1] = ("the device %s is not removed yet: %s"):format(row.hostname or "?", row.error)
    end
  end
  if enabled and not key and #credentials == 0 then warnings[#warnings + 1] = "there is neither an auth key nor an API credential: perry tailnet setup takes a key" end
  return {
    enabled = enabled, loginServer = login_server, key = key or base.null, credentials = credentials, workspaces = workspace_views(warnings), pending = pending,
    warnings = warnings,
  }
end

-- tailnet.devices: ours, with what their control servers say of them.
function M.devices()
  local live, problems = {}, base.list()
  local function ask(credential)
    if live[credential] == nil then
      local ok, list = errors.try(tailnet.devices, credential, leave.inline_ms)
      if not ok then problems[#problems + 1] = errors.message(list) end
      live[credential] = ok and {} or false
      for _, device in ipairs(ok and list or {}) do live[credential][device.id] = device end
    end
    return live[credential]
  end
  local devices = base.list()
  for _, row in ipairs(store.outbox()) do
    local view, credential = row_view(row), leave.credential_for(row)
    local known = credential and ask(credential)
    view.credential = credential
    local device = known and row.node and known[row.node]
    if device and tailnet.evidence(row, device) == "for" then
      for _, field in ipairs { "online", "lastSeen", "expires", "addresses", "tags" } do view[field] = device[field] end
      view.name = device.name
      if device.ephemeral ~= nil then view.ephemeral = device.ephemeral end
    elseif known and row.node and not device then
      view.gone = true
    end
    devices[#devices + 1] = view
  end
  return { devices = devices, problems = problems }
end

-- tailnet.prune: tries at once what is to be removed, also what was left behind before there was a credential. dryRun: only says what. forget: what is left
-- behind is taken off the list; somebody removed it by hand. What a hook kept, and what a workspace uses, is never touched.
function M.prune(arg)
  local before = {}
  if not arg.dryRun then leave.reconcile(store.outbox()) end
  for _, row in ipairs(store.outbox()) do
    local again = row.state == "left-behind" and (arg.forget or leave.credential_for(row) and (row.node or row.keyId)) or row.logout and arg.forget
    if row.state == "leaving" or again then
      before[#before + 1] = row
      if again and not arg.dryRun then
        if arg.forget then leave.off_the_list(row) else store.outbox_patch(row.id, { state = "leaving", how = base.null, next = 0 }) end
      end
    end
  end
  if not arg.dryRun then
    leave.round(true)
    base.leave_later(leave.longest_wait_ms)
  end
  local after, result = {}, { dryRun = arg.dryRun == true, removed = base.list(), pending = base.list(), leftBehind = base.list(), kept = base.list() }
  local lists = { leaving = result.pending, ["left-behind"] = result.leftBehind, kept = result.kept }
  for _, row in ipairs(store.outbox()) do
    after[row.id] = true
    local list = lists[row.state]
    if list then list[#list + 1] = row_view(row) end
  end
  for _, row in ipairs(before) do
    if not after[row.id] or arg.dryRun then result.removed[#result.removed + 1] = row_view(row) end
  end
  return result
end

return M
