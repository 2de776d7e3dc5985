-- A command in a workspace under a key: an agent that is killed meanwhile and comes back finds the same command, not a second one.
local docker = require "docker"
local errors = require "perry.errors"
local names = require "perry.names"
local op = require "op"

local M = {}

-- The code of one that made no progress for as long as it may.
M.quiet = 124

-- The last lines of an output, for an error.
function M.tail(text, lines)
  local all = {}
  for line in text:gsub("\r", "\n"):gmatch("[^\n]+") do all[#all + 1] = line end
  return table.concat(all, "\n", math.max(1, #all - lines + 1))
end

-- Runs argv as the user, with its output as progress of the step "scripts". quiet: seconds without progress that it may take. A cancelled operation
-- ends it.
function M.run(ctx, key, argv, quiet)
  local words = { names.step, "run", "--key", key }
  if quiet then words[#words + 1], words[#words + 2] = "--quiet", tostring(quiet) end
  words[#words + 1] = "--"
  for _, word in ipairs(argv) do words[#words + 1] = word end
  local ok, result = errors.try(docker.exec, ctx.container, words, { step = "scripts" })
  if ok then return result end
  if not op.stopping() then
    errors.attempt("ending " .. key, docker.exec, ctx.container, { names.step, "kill", key, "--grace", "2" }, { cancel = false, timeout = 10000 })
  end
  error(result, 0)
end

return M
