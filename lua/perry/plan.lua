-- The plan: everything that hooks decide, in one exchange, before anything is touched.
local base = require "base"
local docker = require "docker"
local files = require "files"
local image = require "perry.image"
local names = require "perry.names"
local op = require "op"
local policy = require "policy"
local spec = require "perry.spec"
local store = require "store"
local tools = require "perry.tools"

local M = {}

-- What hooks may know of the engine.
function M.engine()
  local known = policy.engine()
  if known then return known end
  local info = docker.info()
  local runtimes, userns = base.list(), false
  for name in pairs(info.Runtimes or {}) do runtimes[#runtimes + 1] = name end
  table.sort(runtimes)
  for _, option in ipairs(info.SecurityOptions or {}) do
    if option:find("name=userns", 1, true) or option:find("name=rootless", 1, true) then userns = true end
  end
  known = {
    version = info.ServerVersion, runtimes = runtimes, userns = userns, cgroup = info.CgroupVersion,
    tun = files.stat("/dev/net/tun") ~= nil, cpus = info.NCPU, memory = info.MemTotal, os = info.OSType, arch = info.Architecture,
  }
  policy.set_engine(known)
  return known
end

-- "git@host:owner/name.git" and "https://host/owner/name" alike.
function M.repo(url)
  if not url or url == "" then return nil end
  local host, path
  local rest = url:match("^%a[%w+.-]*://(.*)$")
  if rest then
    host, path = rest:match("^([^/]*)/(.+)$")
    host = host and host:gsub("^.*@", ""):gsub(":%d+$", "")
  else
    host, path = url:match("^([^/]+):(.+)$")
    host = host and host:gsub("^.*@", "")
  end
  if host == "" then host, path = nil, nil end
  local repo = { url = url }
  if path then
    path = path:gsub("/+$", ""):gsub("%.git$", "")
    repo.host, repo.owner, repo.name = host, path:match("^(.-)/?([^/]+)$")
    if repo.owner == "" then repo.owner = nil end
  end
  return repo
end

function M.owner(caller) return caller and (caller.login or caller.kind) or nil end

-- What the homes take, those of deleted workspaces that were kept included. The engine walks through every volume for this, so only
-- who has set limits.disk pays for it.
local function disk()
  if not base.config "limits.disk" then return nil end
  local taken = 0
  for _, volume in ipairs(docker.call("GET", "/system/df?type=volume", nil, 120000).Volumes or {}) do
    local labels = type(volume.Labels) == "table" and volume.Labels or {}
    local home = labels["perry.workspace"] and volume.Name == names.home_volume(labels["perry.workspace"])
    local size = type(volume.UsageData) == "table" and volume.UsageData.Size or 0
    if home and labels["perry.agent"] == store.agent_id() then taken = taken + math.max(size, 0) end
  end
  return taken
end

-- What hooks may know of its device on the tailnet; nil: it never had one.
function M.tailnet(record)
  local t = record.tailnet
  if not (t and t.nodeId) then return nil end
  return {
    hostname = t.hostname, dns_name = t.dnsName, ip = t.ip, node_id = t.nodeId, ephemeral = t.ephemeral, state = t.state,
    online = t.state == "connected" and store.status(record.name) == "running",
  }
end

-- Does an operation of this kind make a workspace? Other reasons to ask ("exec", "shell") make none.
local function makes(reason) return op.kinds[reason] and op.kinds[reason].makes end

-- Facts of a workspace that may not exist yet: then record is what it would be.
function M.facts(reason, record, caller)
  local engine = M.engine()
  local workspaces, owned, taken
  if makes(reason) == "always" then
    workspaces, owned = store.count(M.owner(caller), record.id and record.name)
    taken = disk()
  end
  return {
    ws = {
      name = record.name, labels = record.labels or {}, created = record.created and record.created // 1000, owner = record.owner,
      repo = record.repo, branch = record.branch, request = record.request or {}, reason = reason,
      user = caller and { kind = caller.kind, login = caller.login, tags = caller.tags } or nil,
      state = store.status(record.name), tailnet = M.tailnet(record),
      agent = {
        id = store.agent_id(), version = base.version(), hostname = base.hostname(), os = engine.os, arch = engine.arch,
        cpus = engine.cpus, memory = engine.memory, workspaces = workspaces, owned = owned, disk = taken,
        engine = { version = engine.version, runtimes = engine.runtimes, userns = engine.userns, cgroup = engine.cgroup, tun = engine.tun },
      },
    },
  }
end

-- What was asked for, as the record keeps it; later requests add to it.
local asked = { "image", "cpus", "memory", "docker", "env", "clone", "branch", "depth", "labels" }

function M.request(old, input)
  local request = {}
  for _, key in ipairs(asked) do
    local value = input[key]
    local had = (old or {})[key]
    if value == nil or value == base.null then
      value = had
    elseif type(had) == "table" and type(value) == "table" then -- one more variable takes none away
      local merged = {}
      for k, v in pairs(had) do merged[k] = v end
      for k, v in pairs(value) do merged[k] = v end
      value = merged
    end
    request[key] = value
  end
  return request
end

-- A new workspace has a branch or a depth of something only.
function M.need_repo(name, input)
  if input.clone or input.repo or not (input.branch or input.depth) then return end
  local what = input.branch and "branch" or "depth"
  base.fail("BAD_REQUEST", ("there is no repository to take a %s of: perry start %s --clone URL --%s %s"):format(what, name, what,
    base.quote(tostring(input.branch or input.depth))))
end

-- A record as a creation makes it.
function M.new_record(name, input, caller)
  return {
    name = name, request = M.request(nil, input), repo = M.repo(input.clone or input.repo), branch = input.branch, depth = input.depth,
    owner = M.owner(caller), labels = input.labels or {}, created = base.now(), lastUsed = base.now(),
    desired = "running", state = "creating", ttl = (input.ttl or 0) > 0 and input.ttl or nil,
  }
end

function M.make(reason, record, caller)
  return policy.plan(M.facts(reason, record, caller))
end

-- The same for a look: no decision is noted; they come with it.
function M.look(reason, record, caller) return policy.plan(M.facts(reason, record, caller), true) end

-- What applying the plan to the container that exists would mean, in words.
function M.changes(ctx)
  local container = ctx.record.containerId and docker.inspect(ctx.record.containerId)
  if not container then return { action = ctx.record.id and "make" or "create" } end
  local difference = spec.difference(ctx, container)
  if difference == "image" then
    return {
      action = "outdated", difference = "image",
      note = ("a new container from %s: what was installed outside of the home (apt packages, files in /usr, /etc, ...) is not in it; "
        .. "the home stays. `perry restart %s --recreate` does it"):format(ctx.plan.image, ctx.name),
    }
  end
  if difference then
    return { action = "recreate", difference = difference, note = "a new container from a commit of the old one: what was installed stays, and so does the home" }
  end
  return { action = "keep" }
end

-- lua_host_plan: the plan and what it would change; nothing is touched.
function M.dry_run(arg)
  local record = store.get(arg.workspace)
  local reason = record and (arg.kind == "create" and "start" or arg.kind) or "create"
  if record then
    record.request = M.request(record.request, arg.input)
    record.labels = record.labels or {}
    for k, v in pairs(arg.input.labels or {}) do record.labels[k] = v end
  else
    M.need_repo(arg.workspace, arg.input)
    record = M.new_record(arg.workspace, arg.input, arg.caller)
  end
  local plan = M.look(reason, record, arg.caller)
  local ctx = { name = arg.workspace, record = record, plan = plan, tools = tools.name() }
  ctx.hash = spec.hash(plan, ctx.tools)
  ctx.image_id = image.id(plan.image)
  ctx.no_ssh = record.sshMissing or spec.no_ssh(plan, docker.image_inspect(plan.image))
  plan.changes = M.changes(ctx)
  plan.imageMissing = not ctx.image_id or nil
  return plan
end

-- A limit on workspaces holds for creations at the same time as well: one whose plan did not count another that was stored before it is
-- asked about once more.
function M.admit_again(ctx, reason)
  if ctx.counted == store.count(nil, ctx.name) then return end
  policy.ask("admit", M.facts(reason, ctx.record, ctx.info.caller))
end

-- lua_host_subjects: what a start of each workspace would be decided on, and the plan that its container was made by.
function M.subjects(arg)
  local list = base.list()
  for _, record in ipairs(store.list()) do
    list[#list + 1] = { name = record.name, facts = M.facts("start", record, arg.caller), plan = record.plan }
  end
  return list
end

-- lua_host_facts.
function M.facts_of(arg)
  local record = store.get(arg.workspace)
  if not record then base.fail("NOT_FOUND", "Workspace not found") end
  return M.facts("start", record, arg.caller)
end

-- lua_host_admit.
function M.admit(arg)
  local record = store.get(arg.workspace)
  if not record then base.fail("NOT_FOUND", "Workspace not found") end
  policy.ask("admit", M.facts(arg.action, record, arg.caller))
end

return M
