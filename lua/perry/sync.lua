-- What goes from this machine into a workspace: the environment, credentials, git's configuration, ssh keys, startup scripts.
-- All of it is one bundle, which init takes from its standard input at the start, and `perry-step apply` in a running workspace.
local base = require "base"
local docker = require "docker"
local files = require "files"
local names = require "perry.names"
local op = require "op"

local M = {}

local function note(step, text)
  base.log("warn", text)
  op.progress(step, text)
end

-- ~ is the workspace's home there and ours here; a path that is not absolute is below the home.
local function inside(path)
  local first = path:sub(1, 1)
  if first == "/" then return path end
  return path:sub(1, 2) == "~/" and path or "~/" .. path
end

local function owner_of(path)
  return (path:sub(1, 2) == "~/" or path:sub(1, #names.home + 1) == names.home .. "/") and "user" or "root"
end

-- A file or a folder of this machine. Secrets stay 0600; what may be run stays so.
local function add_host(bundle, step, target, source, depth)
  local st, why = files.stat(source)
  if not st then
    note(step, ("%s is not copied: %s: %s"):format(target, source, why))
  elseif st.type == "file" then
    local mode = st.mode & 0x40 ~= 0 and 448 or 384 -- 0700, 0600
    files.add(bundle, { path = target, host = source, mode = mode, owner = owner_of(target) })
  elseif st.type == "dir" and depth < 8 then
    for _, name in ipairs(files.names(source)) do
      add_host(bundle, step, target .. "/" .. name, source .. "/" .. name, depth + 1)
    end
  else
    note(step, ("%s is not copied: %s is no file"):format(target, source))
  end
end

-- credentials.files: path inside -> path on this machine.
local function credentials(bundle, step)
  for target, source in pairs(base.config "credentials.files" or {}) do
    add_host(bundle, step, (inside(target):gsub("/+$", "")), files.expand(source), 0)
  end
end

-- Git's configuration is included by ~/.gitconfig, so that what the user sets in the workspace stays and wins.
local function git(bundle)
  local text = files.read(files.home() .. "/.gitconfig")
  if not text then return end
  files.add(bundle, { path = "~/.config/perry/gitconfig", text = text, mode = 384 })
  files.add(bundle, {
    path = "~/.gitconfig", kind = "default", mode = 420, -- 0644
    text = "# Git's configuration of the machine that runs perry comes first; what you set below wins.\n[include]\n\tpath = ~/.config/perry/gitconfig\n",
  })
end

local function concat(a, b)
  local all = {}
  for _, v in ipairs(a or {}) do all[#all + 1] = v end
  for _, v in ipairs(b or {}) do all[#all + 1] = v end
  return all
end

local function is_key(line) return line:match("^%s*[%w@.-]+%s+[A-Za-z0-9+/=]+") or line:match("^%s*%S.* ssh%-") end

-- Public keys that may log in: this user's own, and those of the configuration (as text or as a file).
local function authorized(ws, step)
  local lines, seen = {}, {}
  local function add(text)
    for line in text:gmatch("[^\r\n]+") do
      if is_key(line) and not line:match("^%s*#") and not seen[line] then
        seen[line] = true
        lines[#lines + 1] = line
      end
    end
  end
  if base.config "ssh.autoAuthorizeHostKeys" then
    local dir = files.home() .. "/.ssh"
    for _, name in ipairs(files.names(dir)) do
      if name:match("%.pub$") then add(files.read(dir .. "/" .. name) or "") end
    end
  end
  local own = (base.config "ssh.workspaces" or {})[ws] or {}
  for _, key in ipairs(concat(base.config "ssh.global.authorize", own.authorize)) do
    local text, why = key, nil
    if not key:match("^%s*[a-z0-9@.-]+%s+AAAA") then
      local path = files.expand(key)
      text, why = files.read(path:match("%.pub$") and path or path .. ".pub")
      if not text then text, why = files.read(path) end
      -- A private key named by mistake is never sent.
      if text and text:find("PRIVATE KEY", 1, true) then text, why = nil, "it is a private key without a .pub beside it" end
    end
    if text then add(text) else note(step, ("the key %s is not authorized: %s"):format(key, why)) end
  end
  return lines
end

local function ssh(bundle, ws, step)
  local lines = authorized(ws, step)
  files.add(bundle, {
    path = "~/.ssh/authorized_keys", kind = "block", mode = 384, text = #lines > 0 and table.concat(lines, "\n") .. "\n" or "",
  })
  local own = (base.config "ssh.workspaces" or {})[ws] or {}
  for _, key in ipairs(concat(base.config "ssh.global.copy", own.copy)) do
    local path = files.expand(key)
    local name = path:match("([^/]+)$")
    local st, why = files.stat(path)
    if st and st.type == "file" then
      files.add(bundle, { path = "~/.ssh/" .. name, host = path, mode = 384 })
      if files.stat(path .. ".pub") then files.add(bundle, { path = "~/.ssh/" .. name .. ".pub", host = path .. ".pub", mode = 420 }) end
    else
      note(step, ("the key %s is not copied: %s"):format(key, why or "no file"))
    end
  end
end

-- The bundle for a workspace. ready: init may go on once it is applied.
function M.bundle(ctx, ready)
  local bundle = files.bundle()
  files.env(bundle, ctx.plan.env or {})
  credentials(bundle, "sync")
  git(bundle)
  ssh(bundle, ctx.name, "sync")
  require("perry.scripts").add(bundle)
  files.seal(bundle, ready)
  return bundle
end

-- What apply said: nil when all went well, else its complaints.
local function complaints(said)
  if said:find("[perry] apply: done\n", 1, true) then return nil end
  local lines = {}
  for line in said:gmatch("%[perry%] apply: ([^\n]+)") do
    if line ~= "failed" then lines[#lines + 1] = line end
  end
  return #lines > 0 and table.concat(lines, "; ") or "the files could not be written"
end

-- Applies a bundle in a running workspace.
local function apply(ctx, ready)
  local result = docker.exec(ctx.container, { names.step, "apply" }, { bundle = M.bundle(ctx, ready), timeout = 60000 })
  local why = complaints(result.stdout)
  if why then base.fail("INTERNAL_SERVER_ERROR", why == "the files could not be written" and result.stderr ~= "" and result.stderr or why) end
end

-- The step after a start: init has taken the bundle already, or (an engine that cannot attach, an agent that was killed in between) an exec brings it.
function M.run(ctx)
  if not ctx.told then return apply(ctx, true) end
  local why = complaints(ctx.told)
  if why then base.fail("INTERNAL_SERVER_ERROR", why) end
end

-- The operation "sync".
function M.again(ctx) apply(ctx, true) end

return M
