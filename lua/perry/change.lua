-- What a start asks of a workspace that is there: done where that can be, kept for its next container where it cannot, refused where neither is right;
-- and each is said.
local base = require "base"
local container = require "perry.container"
local errors = require "perry.errors"
local image = require "perry.image"
local op = require "op"
local plan = require "perry.plan"
local scripts = require "perry.scripts"
local steps = require "perry.steps"
local sync = require "perry.sync"

local M = {}

-- Another repository, or branch, as long as none is there: the first URL may have been wrong. What is there is the user's, and is left to him.
function M.repo(ctx)
  local record, url, branch, depth = ctx.record, ctx.input.clone or ctx.input.repo, ctx.input.branch, ctx.input.depth
  local has = record.repo and record.repo.url
  url, branch, depth = url ~= has and url or nil, branch ~= record.branch and branch or nil, depth ~= record.depth and depth or nil
  if not url and not branch and not depth then return end
  if record.cloned and url then
    base.fail("PRECONDITION_FAILED", ("'%s' has %s in %s already; for another repository: perry exec %s -- git clone %s"):format(ctx.name, has, record.dir,
      ctx.name, base.quote(url)))
  elseif record.cloned and not branch then
    base.fail("PRECONDITION_FAILED", ("'%s' has %s in %s already; for more of its history: perry exec %s -w %s -- git fetch --depth %d"):format(ctx.name, has,
      record.dir, ctx.name, record.dir, depth))
  elseif record.cloned then
    base.fail("PRECONDITION_FAILED", ("'%s' has %s in %s already; for another branch of it: perry exec %s -w %s -- git switch %s"):format(ctx.name, has,
      record.dir, ctx.name, record.dir, base.quote(branch)))
  elseif not url and not has then
    local what = branch and "branch" or "depth"
    base.fail("PRECONDITION_FAILED", ("'%s' has no repository to take a %s of: perry start %s --clone URL --%s %s"):format(ctx.name, what, ctx.name, what,
      base.quote(tostring(branch or depth))))
  end
  local repo = url and plan.repo(url)
  if repo then
    for _, key in ipairs { "host", "owner", "name" } do repo[key] = repo[key] or base.null end
  end
  ctx:patch { repo = repo, branch = branch, depth = depth }
end

-- Which of what is asked for is not as it was asked for before?
function M.news(ctx)
  local before, found = ctx.record.request or {}, {}
  local function look(key, have, want)
    if want ~= nil and want ~= base.null and base.canonical { want } ~= base.canonical { have } then found[key] = true end
  end
  for _, key in ipairs { "image", "cpus", "memory", "docker" } do look(key, before[key], ctx.input[key]) end
  for name, value in pairs(ctx.input.env or {}) do look("env", (before.env or {})[name], value) end
  for name, value in pairs(ctx.input.labels or {}) do look("labels", (ctx.record.labels or {})[name], value) end
  if (ctx.input.clone or ctx.input.repo or ctx.input.branch or ctx.input.depth) and ctx.record.repo and not ctx.record.cloned then found.clone = true end
  return next(found) and found
end

local function run(ctx, found)
  op.steps(base.list { steps.startup[1], found.env and steps.startup[3] or nil })
  steps.run("prepare", function()
    ctx.image_id = image.id(ctx.plan.image)
    container.adapt(ctx, found.image)
  end)
  if found.env then
    steps.run("sync", function() sync.again(ctx) end)
    op.progress("sync", "commands see the changed environment from now on; what runs already keeps its own")
  end
  if found.clone then
    op.steps(base.list { steps.startup[5] })
    steps.run("scripts", function() return scripts.clone(ctx) end)
    ctx:patch { error = base.null } -- of the clone that failed before
  end
end

-- Of one that runs. ctx.plan is the new one.
function M.apply(ctx, found)
  local ok, e = errors.try(run, ctx, found)
  if ok then return end
  if found.clone and not errors.cancelled(e) and not op.stopping() then
    errors.attempt("noting the failure", ctx.patch, ctx, { error = { message = errors.message(e) } })
  end
  error(e, 0)
end

return M
