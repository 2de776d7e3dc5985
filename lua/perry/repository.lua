-- The clone of a workspace's repository: once, under a key, as its user, with git's own words where it fails and what to do about them.
local base = require "base"
local command = require "perry.command"
local op = require "op"

local M = {}

local lines_kept, line_kept = 6, 300 -- of what git and ssh say, for an error

-- Beside its place first, so that what was cut short is no repository. A token for GitHub is taken from the environment where it runs. A submodule that
-- is refused takes nothing away from the rest. 64 and more: it is there, without its submodules (1), without what Git LFS keeps (2).
local script = [[
url=$1 dir=$2 branch=$3 depth=$4 part=.cache/perry/clone
cd ~ || exit
if [ -e "$dir" ]; then echo "~/$dir is there already; nothing is cloned"; exit 0; fi
rm -rf "$part" && mkdir -p .cache/perry || exit
export GIT_TERMINAL_PROMPT=0
[ -n "${GIT_SSH_COMMAND:-}" ] || export GIT_SSH_COMMAND="ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new"
command -v git >/dev/null || { echo "fatal: there is no git in this image" >&2; exit 127; }
with_token() {
  if [ -z "${GITHUB_TOKEN:-}" ]; then git "$@"; return; fi
  git -c credential.https://github.com.helper='!f() { echo username=x-access-token; echo "password=$GITHUB_TOKEN"; }; f' "$@"
}
submodules() { with_token -C "$part" submodule update --init --recursive --progress "$@"; }
lacks=0
if ! git lfs version >/dev/null 2>&1; then
  lfs=
elif lfs=yes; ! git config --get filter.lfs.process >/dev/null; then
  git lfs install --skip-repo >/dev/null || exit
fi
with_token clone --progress ${branch:+--branch "$branch"} ${depth:+--depth "$depth"} -- "$url" "$part" || exit 1
if [ -f "$part/.gitmodules" ]; then
  # Not every server gives a commit that is no tip to one who asks for few.
  { [ -n "$depth" ] && submodules --depth "$depth"; } || submodules || lacks=1
fi
[ -n "$lfs" ] || ! grep -qs 'filter=lfs' "$part/.gitattributes" || lacks=$((lacks + 2))
mv "$part" "$dir" || exit 1
[ "$lacks" = 0 ] || exit $((64 + lacks))
]]

-- "https://host/owner/name.git" to "name".
function M.dir(url)
  local name = url:gsub("[/?#]+$", ""):match("([^/:]+)$") or "repo"
  name = name:gsub("%.git$", ""):gsub("[^%w._-]", "-"):gsub("^[.-]+", "")
  return name ~= "" and name or "repo"
end

-- What says nothing about a failure.
local chatter = {
  "^Cloning into ", "^remote: %a+ objects: ", "^remote: Total ", "^%a+ing objects: ", "^Resolving deltas: ", "^Updating files: ", "^Filtering content: ",
  "^Submodule ", "^Warning: Permanently added ", "^Please make sure you have the correct access rights", "^and the repository exists%.", "^%s*$",
  "^Failed to clone '.*%. Retry scheduled", "^Failed to clone '.*a second time", "^remote:%s*$",
}

local function is_chatter(line)
  for _, pattern in ipairs(chatter) do
    if line:find(pattern) then return true end
  end
  return false
end

-- What git and ssh say of a failure, without the rest.
function M.words(text)
  local said = {}
  for line in text:gsub("\r", "\n"):gmatch("[^\n]+") do
    if not is_chatter(line) then said[#said + 1] = #line > line_kept and line:sub(1, line_kept) .. "..." or line end
  end
  return table.concat(said, "\n", math.max(1, #said - lines_kept + 1))
end

local on_github = { ["github.com"] = true, ["www.github.com"] = true }

local function right(ws, host, url)
  if url:find("^https?://") and on_github[host] then
    return ("a private repository needs a token: perry agent config set agents.github.token --stdin, then perry restart %s"):format(ws)
  elseif url:find("^https?://") then
    return "this server asks who you are: clone it by its ssh URL, with a key in ssh.global.copy of config.json"
  end
  return ("the workspace has no key that this server takes: name one, such as ~/.ssh/id_ed25519, in ssh.global.copy of config.json, then perry restart %s"):format(ws)
end

local function host_key(ws, host, url)
  local port = url:match("^ssh://[^/]*:(%d+)/")
  if port and port ~= "22" then host = ("[%s]:%s"):format(host, port) end
  return ("the server is not the one that the workspace knows by this name. If that is right: perry exec %s -- ssh-keygen -R %s, then perry restart %s"):format(ws,
    base.quote(host), ws)
end

local function away(ws, host) return ("%s must be reachable from the workspace; then perry restart %s"):format(host, ws) end

local function other_url(ws) return ("is that its address? For another one: perry start %s --clone URL"):format(ws) end

-- Words of git and ssh, and what to do about them; the first that is found.
local advice = {
  { "Permission denied %(", right }, { "Host key verification failed", host_key },
  { "could not read Username", right }, { "could not read Password", right }, { "Authentication failed", right }, { "requested URL returned error: 40[13]", right },
  { "Could not resolve host", other_url }, { "Name or service not known", other_url }, { "Temporary failure in name resolution", away },
  { "Connection refused", away }, { "Connection timed out", away }, { "No route to host", away }, { "Network is unreachable", away },
  { "Failed to connect", away }, { "Couldn't connect to server", away }, { "Could not connect to server", away },
  { "Remote branch .* not found", function(ws) return ("another one: perry start %s --branch BRANCH"):format(ws) end },
  { "[Rr]epository .*not found", other_url }, { "repository not exported", other_url },
  { "does not appear to be a git repository", other_url },
  { "[Rr]epository .*does not exist", other_url },
}

-- What is next, or nil.
function M.next_step(words, ws, host, url)
  for _, entry in ipairs(advice) do
    if words:find(entry[1]) then return entry[2](ws, host or "the server", url) end
  end
end

local function failure(ctx, repo, result, quiet)
  local words = M.words(result.stdout .. result.stderr)
  local following
  if result.code == command.quiet then
    words = ("%snothing came from it for %d seconds"):format(words ~= "" and words .. "\n" or "", quiet)
    following = away(ctx.name, repo.host or "it") .. " (cloneTimeout in config.json waits longer)"
  else
    following = M.next_step(words, ctx.name, repo.host, repo.url) or other_url(ctx.name)
  end
  if words == "" then words = "git ended with code " .. result.code end
  base.fail("BAD_REQUEST", ("cloning %s failed: %s%s"):format(repo.url, words, "\nnext: " .. following))
end

-- What it is without.
local function lacks(ctx, dir, result)
  local bits = result.code - 64
  if bits & 1 ~= 0 then
    op.warn("scripts", ("~/%s is without its submodules: %s\nnext: perry exec %s -w '~/%s' -- git submodule update --init --recursive"):format(dir,
      M.words(result.stdout .. result.stderr), ctx.name, dir))
  end
  if bits & 2 ~= 0 then
    op.warn("scripts", ("files of ~/%s are kept by Git LFS, and there is no git-lfs in this image: they are pointers only\n"
      .. "next: install git-lfs in it, then: perry exec %s -w '~/%s' -- git lfs pull"):format(dir, ctx.name, dir))
  end
end

function M.wanted(record) return record.repo and not record.cloned end

-- True when it was done now.
function M.clone(ctx)
  local record = ctx.record
  if not M.wanted(record) then return false end
  local dir, quiet = M.dir(record.repo.url), base.config "cloneTimeout" or 60
  op.progress("scripts", "cloning " .. record.repo.url)
  local result = command.run(ctx, "clone-" .. ctx.info.id,
    { "/bin/sh", "-c", script, "clone", record.repo.url, dir, record.branch or "", record.depth and tostring(record.depth) or "" }, quiet)
  local there = result.code > 64 and result.code < 68
  if result.code ~= 0 and not there then failure(ctx, record.repo, result, quiet) end
  if there then lacks(ctx, dir, result) end
  ctx:patch { cloned = true, dir = "~/" .. dir }
  return true
end

return M
