-- Devices of ours on a tailnet, from before they join until they are known to be gone. Each has a row in the outbox, which outlives its workspace:
--   joining      a join is under way or was interrupted; "node" is not known yet
--   joined       the device is on the tailnet
--   leaving      to be removed; what could not be done at once is tried again
--   left-behind  nobody can remove it: no credential, and logging out only expires it
--   kept         the deregister hook said "keep"; a new workspace of this name resumes it
local base = require "base"
local store = require "store"

local M = {}

local function rows_of(ctx)
  local mine, kept = {}, nil
  for _, row in ipairs(store.outbox(ctx.name)) do
    if row.wsId == ctx.record.id and (row.state == "joining" or row.state == "joined") then mine[#mine + 1] = row end
    if row.state == "kept" then kept = row end
  end
  return mine, kept
end

-- --- joining ---

-- Before `tailscale up`: about = {hostname, credential, keyId, ephemeral, control}. The row of this attempt.
function M.joining(ctx, about)
  local mine, kept = rows_of(ctx)
  if kept then
    store.outbox_patch(kept.id, { state = "joined", wsId = ctx.record.id })
  end
  local attempt
  for _, row in ipairs(mine) do
    if not row.node then attempt = row end
  end
  if attempt then
    return store.outbox_patch(attempt.id, {
      hostname = about.hostname, credential = about.credential or base.null, keyId = about.keyId or base.null,
      ephemeral = about.ephemeral == nil and base.null or about.ephemeral, control = about.control or base.null, since = base.now(),
    })
  end
  return store.outbox_put {
    workspace = ctx.name, wsId = ctx.record.id, state = "joining", hostname = about.hostname, credential = about.credential,
    keyId = about.keyId, ephemeral = about.ephemeral, control = about.control,
  }
end

-- After it: node = {nodeId, dnsName}. The same device as before is noted once; another one means that the old one is not used any more and leaves.
function M.joined(ctx, attempt, node)
  local known
  for _, row in ipairs((rows_of(ctx))) do
    if row.id ~= attempt.id and row.node == node.nodeId then known = row end
  end
  local name = node.dnsName and node.dnsName:match("^[^.]+") or attempt.hostname
  if known then
    store.outbox_delete(attempt.id)
    -- Its key is the one it joined with; who can remove it is what is configured now.
    store.outbox_patch(known.id, { hostname = name, state = "joined", credential = attempt.credential or known.credential })
  else
    store.outbox_patch(attempt.id, { node = node.nodeId, hostname = name, state = "joined" })
  end
  for _, row in ipairs((rows_of(ctx))) do
    if row.node and row.node ~= node.nodeId then store.outbox_patch(row.id, { state = "leaving", next = 0 }) end
  end
end

-- It was refused for certain: no device came of it.
function M.not_joined(attempt)
  store.outbox_delete(attempt.id)
end

return M
