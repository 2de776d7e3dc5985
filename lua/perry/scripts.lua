-- What runs in a workspace when it starts: the clone of its repository, once, and the scripts of scripts.post_start, each time.
-- Each command runs under a key: an agent that is killed meanwhile and comes back finds the same command, not a second one.
local base = require "base"
local docker = require "docker"
local errors = require "perry.errors"
local files = require "files"
local names = require "perry.names"
local op = require "op"

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

-- The last lines of an output, for an error.
local function tail(text, lines)
  local all = {}
  for line in text:gsub("\r", "\n"):gmatch("[^\n]+") do all[#all + 1] = line end
  return table.concat(all, "\n", math.max(1, #all - lines + 1))
end

-- Runs argv as the user under the key, with its output as progress. A cancelled operation ends it.
local function run(ctx, key, argv)
  local command = { names.step, "run", "--key", key, "--" }
  for _, word in ipairs(argv) do command[#command + 1] = word end
  local ok, result = errors.try(docker.exec, ctx.container, command, { step = "scripts" })
  if ok then return result end
  if not op.stopping() then
    errors.attempt("ending " .. key, docker.exec, ctx.container, { names.step, "kill", key, "--grace", "2" }, { cancel = false, timeout = 10000 })
  end
  error(result, 0)
end

-- Beside its place first, so that what was cut short is no repository. A token for GitHub is taken from the environment where it runs.
local clone = [[
set -eu
url=$1 dir=$2 branch=$3
cd ~
if [ -e "$dir" ]; then echo "~/$dir is there already; nothing is cloned"; exit 0; fi
part=.cache/perry/clone
rm -rf "$part"; mkdir -p .cache/perry
export GIT_TERMINAL_PROMPT=0
[ -n "${GIT_SSH_COMMAND:-}" ] || export GIT_SSH_COMMAND="ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new"
command -v git >/dev/null || { echo "fatal: there is no git in this image" >&2; exit 127; }
set -- clone --progress ${branch:+--branch "$branch"} -- "$url" "$part"
[ -z "${GITHUB_TOKEN:-}" ] || set -- -c credential.https://github.com.helper='!f() { echo username=x-access-token; echo "password=$GITHUB_TOKEN"; }; f' "$@"
git "$@"
mv "$part" "$dir"
]]

-- "https://host/owner/name.git" to "name".
function M.repo_dir(url)
  local name = url:gsub("[/?#]+$", ""):match("([^/:]+)$") or "repo"
  name = name:gsub("%.git$", ""):gsub("[^%w._-]", "-"):gsub("^[.-]+", "")
  return name ~= "" and name or "repo"
end

-- The text that git ends with, without its chatter.
local function git_error(text)
  local said = {}
  for line in text:gsub("\r", "\n"):gmatch("[^\n]+") do
    if line:match("^fatal:") or line:match("^error:") or line:match("^remote: ") then said[#said + 1] = line end
  end
  return #said > 0 and table.concat(said, "\n") or tail(text, 3)
end

-- True when it was done now.
local function clone_repo(ctx)
  local record = ctx.record
  if not record.repo or record.cloned then return false end
  local dir = M.repo_dir(record.repo.url)
  local result = run(ctx, "clone-" .. ctx.info.id, { "/bin/sh", "-c", clone, "clone", record.repo.url, dir, record.branch or "" })
  if result.code ~= 0 then
    base.fail("BAD_REQUEST", ("cloning %s failed: %s"):format(record.repo.url, git_error(result.stdout .. result.stderr)))
  end
  ctx:patch { cloned = true, dir = "~/" .. dir }
  return true
end

local function one_script(ctx, i, path)
  op.progress("scripts", "running " .. path)
  local result = run(ctx, ("script-%s-%02d"):format(ctx.info.id, i), { target(i, path) })
  if result.code == 0 then return end
  local said = tail(result.stdout .. result.stderr, 5)
  local text = ("%s failed with exit code %d%s%s"):format(path, result.code, said ~= "" and ": " or "", said)
  if base.config "scripts.fail_on_error" then base.fail("INTERNAL_SERVER_ERROR", text) end
  op.warn("scripts", text)
end

-- The clone alone, as the step of a workspace that runs.
function M.clone(ctx) return not clone_repo(ctx) and "skipped" or nil end

-- The step. Gives "skipped" when there was nothing to run.
function M.run(ctx)
  local did = clone_repo(ctx)
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
  return (ctx.record.repo and not ctx.record.cloned) or #scripts > 0
end

return M
