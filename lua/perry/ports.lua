-- What to do about servers that began to listen in a workspace: the ports hook, once for each.
local base = require "base"
local plan = require "perry.plan"
local policy = require "policy"
local store = require "store"

local M = {}

-- lua_host_ports.
function M.decide(arg)
  local record = store.get(arg.workspace)
  if not record then base.fail("NOT_FOUND", "Workspace not found") end
  local facts, answers = plan.facts("ports", record), base.list()
  for i, port in ipairs(arg.ports) do answers[i] = policy.ask("ports", facts, { port = port }) end
  return answers
end

return M
