-- What goes from this machine into a workspace: the environment, credentials, git's configuration, ssh keys, startup scripts.
-- All of it is one bundle, which init takes from its standard input at the start, and `perry-step apply` in a running workspace.
local apart = require "perry.apart"
local base = require "base"
local docker = require "docker"
local errors = require "perry.errors"
local files = require "files"
local gitconfig = require "perry.gitconfig"
local names = require "perry.names"
local op = require "op"

local M = {}

-- What may be read, or run, by its owner alone; what everybody may read.
local private, runnable, public = tonumber("600", 8), tonumber("700", 8), tonumber("644", 8)
local executable = tonumber("100", 8) -- by its owner

-- One file that cannot be had keeps nothing else from the workspace.
local function warn(text) op.warn("sync", text) end

-- ~ is the workspace's home there and ours here; a path that is not absolute is below the home.
local function inside(path)
  local first = path:sub(1, 1)
  if first == "/" then return path end
  return path:sub(1, 2) == "~/" and path or "~/" .. path
end

local function owner_of(path)
  return (path:sub(1, 2) == "~/" or path:sub(1, #names.home + 1) == names.home .. "/") and "user" or "root"
end

-- A file that can be looked at may still not be had: no right to read it, or it is too large.
local function add_file(bundle, entry)
  local ok, e = errors.try(files.add, bundle, entry)
  if not ok then warn(("%s is not copied: %s"):format(entry.path, errors.message(e))) end
end

-- A file or a folder of this machine. Secrets stay private; what may be run stays so.
local function add_host(bundle, target, source, depth)
  local st, why = files.stat(source)
  if not st then
    warn(("%s is not copied: %s: %s"):format(target, source, why))
  elseif st.type == "file" then
    add_file(bundle, { path = target, host = source, mode = st.mode & executable ~= 0 and runnable or private, owner = owner_of(target) })
  elseif st.type == "dir" and depth < 8 then
    local list, unreadable = files.names(source)
    if unreadable then warn(("%s is not copied: %s: %s"):format(target, source, unreadable)) end
    for _, name in ipairs(list) do
      add_host(bundle, target .. "/" .. name, source .. "/" .. name, depth + 1)
    end
  else
    warn(("%s is not copied: %s is no file"):format(target, source))
  end
end

-- credentials.files: path inside -> path on this machine.
local function credentials(bundle)
  for target, source in pairs(base.config "credentials.files" or {}) do
    add_host(bundle, (inside(target):gsub("/+$", "")), files.expand(source), 0)
  end
end

-- Git's configuration is included by ~/.gitconfig, so that what the user sets in the workspace stays and wins.
local function git(bundle)
  local text, dropped = gitconfig.portable(files.home() .. "/.gitconfig", files.read, files.home())
  if dropped == true then warn("~/.gitconfig is not copied: it is not as git wants it") end
  if not text then return end
  if #dropped > 0 then text = "# Left out, for it is this machine's alone: " .. table.concat(dropped, ", "):gsub("%c", "?") .. "\n" .. text end
  files.add(bundle, { path = "~/.config/perry/gitconfig", text = text, mode = private })
  files.add(bundle, {
    path = "~/.gitconfig", kind = "default", mode = public,
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
local function authorized(ws)
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
    if text then add(text) else warn(("the key %s is not authorized: %s"):format(key, why)) end
  end
  return lines
end

-- Those that ssh tries without being told of them.
local found_by_itself = { id_rsa = true, id_ecdsa = true, id_ecdsa_sk = true, id_ed25519 = true, id_ed25519_sk = true }

-- Another one is of use to who names it in ssh's configuration, which may come from here as well.
local function warn_of_name(ctx, name)
  if found_by_itself[name] then return end
  for target in pairs(base.config "credentials.files" or {}) do
    if inside(target) == "~/.ssh/config" or inside(target) == names.home .. "/.ssh/config" then return end
  end
  op.warn("sync", ("ssh in the workspace does not look for the key ~/.ssh/%s by itself (ssh.global.copy)"):format(name),
    ("name it id_ed25519, or say IdentityFile ~/.ssh/%s in a file for ~/.ssh/config in credentials.files, then: perry sync %s"):format(name, ctx.name))
end

-- What is said instead of an address for SSH when nobody could log in, or nil. Tailscale SSH asks for no key.
local function nobody(ctx, lines)
  if #lines > 0 or ctx.plan.join and (ctx.plan.tailscale_up or {}).ssh then return nil end
  return "no public key may log in: make one (ssh-keygen), or name one in ssh.global.authorize, then: perry sync " .. ctx.name
end

local function ssh(bundle, ctx)
  local ws = ctx.name
  local lines = authorized(ws)
  local none = nobody(ctx, lines)
  if none ~= ctx.record.sshNobody then ctx:patch { sshNobody = none or base.null } end
  files.add(bundle, {
    path = "~/.ssh/authorized_keys", kind = "block", mode = private, text = #lines > 0 and table.concat(lines, "\n") .. "\n" or "",
  })
  local own = (base.config "ssh.workspaces" or {})[ws] or {}
  for _, key in ipairs(concat(base.config "ssh.global.copy", own.copy)) do
    local path = files.expand(key)
    local name = path:match("([^/]+)$")
    local st, why = files.stat(path)
    if st and st.type == "file" then
      add_file(bundle, { path = "~/.ssh/" .. name, host = path, mode = private })
      warn_of_name(ctx, name)
      if files.stat(path .. ".pub") then add_file(bundle, { path = "~/.ssh/" .. name .. ".pub", host = path .. ".pub", mode = public }) end
    else
      warn(("the key %s is not copied: %s"):format(key, why or "no file"))
    end
  end
end

-- The bundle for a workspace. ready: init may go on once it is applied.
-- The names that its servers are asked under, the short one first. Until it has joined, what it is to be called; what it was given last time, such as
-- web-1 for web, holds until it is told otherwise.
local function hosts(ctx)
  if not ctx.plan.join or not ctx.plan.hostname then return {} end
  local wanted, known = ctx.plan.hostname, ctx.record.tailnet or {}
  local full = known.dnsName
  local label = full and full:match("^[^.]+")
  if label ~= wanted and not (label and label:sub(1, #wanted) == wanted and label:sub(#wanted + 1):match("^%-%d+$")) then return { wanted } end
  return { label, full }
end

-- Development servers answer 403 to a name that they were not told. Vite before 8 takes this variable for one name, so it gets the short one.
local function environment(ctx)
  local env, names_of = {}, hosts(ctx)
  if names_of[1] then
    env.__VITE_ADDITIONAL_SERVER_ALLOWED_HOSTS = names_of[1]
    env.RAILS_DEVELOPMENT_HOSTS = table.concat(names_of, ",")
  end
  for name, value in pairs(ctx.plan.env or {}) do env[name] = value end
  ctx.hosts = table.concat(names_of, ",")
  return env
end

function M.bundle(ctx, ready)
  local bundle = files.bundle()
  files.env(bundle, environment(ctx))
  credentials(bundle)
  git(bundle)
  ssh(bundle, ctx)
  require("perry.scripts").add(bundle)
  for _, other in ipairs(ctx.others or {}) do files.reach(bundle, other.address) end
  files.seal(bundle, ready)
  return bundle
end

-- Without these a workspace is not what its plan says: its environment, its scripts, and that they are there.
local function is_needed(path) return path:sub(1, 11) == "/run/perry/" end

-- What apply said. A file that could not be written is a warning that names it; raises what the workspace cannot do without.
local function settle(ctx, said, otherwise)
  if said:find("[perry] apply: done\n", 1, true) then return end
  local named, fatal = false, {}
  for line in said:gmatch("%[perry%] apply: ([^\n]+)") do
    if line:sub(1, 1) == "/" and not is_needed(line) then
      named = true
      warn("cannot be written: " .. line)
    elseif line ~= "failed" then
      fatal[#fatal + 1] = line
    end
  end
  if named and #fatal == 0 then return end
  local why = #fatal > 0 and table.concat(fatal, "; ") or otherwise ~= "" and otherwise or "the files could not be written"
  local mend = why:find("in this image", 1, true) and "take an image that has that user (docs/lifecycle.md), then: perry restart %s --recreate" or "perry restart %s"
  base.fail("INTERNAL_SERVER_ERROR", ("%s\nnext: %s"):format(why:gsub("%s+$", ""), mend:format(ctx.name)))
end

-- Applies a bundle in a running workspace. What was said.
local function apply(ctx)
  local result = docker.exec(ctx.container, { names.step, "apply" }, { bundle = M.bundle(ctx, true), timeout = 60000 })
  settle(ctx, result.stdout, result.stderr)
  return result.stdout
end

-- The tailnet gave it a name that its environment does not know yet.
function M.named(ctx)
  local before = ctx.hosts
  local env = environment(ctx)
  if ctx.hosts == before then return end
  local bundle = files.bundle()
  files.env(bundle, env)
  files.seal(bundle, true)
  local ok, e = errors.try(function()
    local result = docker.exec(ctx.container, { names.step, "apply" }, { bundle = bundle, timeout = 60000 })
    settle(ctx, result.stdout, result.stderr)
  end)
  if not ok then op.warn("sync", "the environment does not have its name on the tailnet: " .. errors.message(e), "perry sync " .. ctx.name) end
end

-- The step after a start: init has taken the bundle already, or (an engine that cannot attach, an agent that was killed in between) an exec brings it.
function M.run(ctx)
  if ctx.told then settle(ctx, ctx.told, "") end
  apart.warn(ctx, ctx.told or apply(ctx))
end

-- The operation "sync".
M.again = apply

return M
