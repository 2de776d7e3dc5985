-- Steps: each is journalled, shown and, when it fails, named.
local base = require "base"
local errors = require "perry.errors"
local op = require "op"

local M = {}

M.startup = {
  { id = "prepare", label = "Preparing container" },
  { id = "start", label = "Starting container" },
  { id = "sync", label = "Syncing workspace files" },
  { id = "update", label = "Updating agents", status = "skipped" },
  { id = "scripts", label = "Running startup scripts" },
  { id = "tailscale", label = "Configuring Tailscale" },
}

-- A step that the journal of an interrupted run holds: {status=, data=}, or nil.
function M.before(info, id)
  for _, step in ipairs(info.journal and info.journal.steps or {}) do
    if step.id == id then return step end
  end
end

-- Where an interrupted run stood: the step that was running, else the first that was not done.
function M.interrupted_at(info)
  local first
  for _, step in ipairs(info.journal and info.journal.steps or {}) do
    if step.status == "running" then return step.id end
    if not first and step.status == "pending" then first = step.id end
  end
  return first or "its beginning"
end

-- Runs fn as this step. fn may return "skipped".
function M.run(id, fn)
  op.check()
  op.step(id, "running")
  local ok, result = xpcall(fn, base.guard)
  if ok then
    op.step(id, result == "skipped" and "skipped" or "done")
    return
  end
  -- A call that was cut short says so in its own words; the operation knows why.
  local fine, why = pcall(op.check)
  if not fine then result = why end
  op.step(id, errors.cancelled(result) and "cancelled" or "error", errors.message(result))
  error(result, 0)
end

function M.skip(id, why) op.step(id, "skipped", why) end

return M
