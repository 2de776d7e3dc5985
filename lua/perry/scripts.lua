-- What runs in a workspace when it starts: the clone of its repository, once, and the scripts of scripts.post_start, each time.
local base = require "base"
local command = require "perry.command"
local files = require "files"
local op = require "op"
local repository = require "perry.repository"

local M = {}

local folder = "/run/perry/scripts"

-- Scripts of this machine in the order they are named; a folder stands for the files in it, sorted. missing(path): of what is not there.
local function list(missing)
  local found = {}
  for _, entry in ipairs(base.config "scripts.post_start" or {}) do
    local path = files.expand(entry)
    local st = files.stat(path)
    if st and st.type == "file" then
      found[#found + 1] = path
    elseif st and st.type == "dir" then
      for _, name in ipairs(files.names(path)) do
        local one = files.stat(path .. "/" .. name)
        if one and one.type == "file" and (name:match("%.sh$") or one.mode & tonumber("100", 8) ~= 0) then found[#found + 1] = path .. "/" .. name end
      end
    elseif missing and entry ~= "~/.perry/userscripts" then -- the default, which need not exist
      missing(path)
    end
  end
  return found
end

local function target(i, path) return ("%s/%02d-%s"):format(folder, i, path:match("([^/]+)$"):gsub("[^%w._-]", "_")) end

-- Into the bundle: readable by the user, changeable by nobody.
function M.add(bundle)
  for i, path in ipairs(list()) do
    files.add(bundle, { path = target(i, path), host = path, mode = tonumber("755", 8), owner = "root" })
  end
end

local function one_script(ctx, i, path)
  op.progress("scripts", "running " .. path)
  local result = command.run(ctx, ("script-%s-%02d"):format(ctx.info.id, i), { target(i, path) })
  if result.code == 0 then return end
  local said = command.tail(result.stdout .. result.stderr, 5)
  local text = ("%s failed with exit code %d%s%s"):format(path, result.code, said ~= "" and ": " or "", said)
  if base.config "scripts.fail_on_error" then base.fail("INTERNAL_SERVER_ERROR", ("%s\n  once that is mended: perry restart %s"):format(text, ctx.name)) end
  op.warn("scripts", text)
end

-- The clone alone, as the step of a workspace that runs.
function M.clone(ctx) return not repository.clone(ctx) and "skipped" or nil end

-- The step. Gives "skipped" when there was nothing to run.
function M.run(ctx)
  local did = repository.clone(ctx)
  local scripts = list()
  for i, path in ipairs(scripts) do
    op.check()
    one_script(ctx, i, path)
  end
  return not did and #scripts == 0 and "skipped" or nil
end

-- Is there anything to do? An interrupted run that was done with it is not done again.
function M.wanted(ctx)
  local scripts = list(function(path) op.warn("scripts", ("there is no %s (scripts.post_start)"):format(path)) end)
  return repository.wanted(ctx.record) or #scripts > 0
end

return M
