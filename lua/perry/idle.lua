-- The idle hook: keep a workspace or stop it.
local base = require "base"
local errors = require "perry.errors"
local op = require "op"
local plan = require "perry.plan"
local policy = require "policy"
local store = require "store"

local M = {}

-- A hook that fails is shown once, not with every question.
local function show_failure(record, rows)
  local message
  for _, row in ipairs(rows) do message = message or row.error end
  local known = record.hookError and record.hookError.point == "idle" and record.hookError.message or nil
  if message == known then return false end
  if message then
    base.log("warn", ("%s: %s"):format(record.name, message))
    op.event { kind = "hook", workspace = record.name, point = "idle", error = message }
  end
  store.patch(record.name, { hookError = message and { point = "idle", message = message } or base.null })
  return message ~= nil
end

-- lua_host_idle. Most answers are "keep", every few minutes: those would push all other decisions out of the log.
function M.ask(arg)
  local record = store.get(arg.workspace)
  if not record then base.fail("NOT_FOUND", "Workspace not found") end
  local got = policy.look("idle", plan.facts("idle", record), { activity = arg.activity })
  local ok, news = errors.try(show_failure, record, got.rows)
  if got.answer.action == "stop" or (ok and news) then policy.note(got.rows) end
  local reason = got.answer.reason
  if reason then got.answer.reason = reason:sub(1, (utf8.offset(reason, 201) or #reason + 1) - 1):gsub("%c", " ") end
  return got.answer
end

return M
