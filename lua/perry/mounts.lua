-- Folders of this machine in workspaces. The plan was checked by path (core/policy/session.c); the engine goes along the path again, later. So no workspace may be able
-- to write above such a folder, and what was mounted is compared after the start.
local base = require "base"
local docker = require "docker"
local files = require "files"

local M = {}

local function binds(ctx)
  local list = {}
  for _, m in ipairs(ctx.plan.container.mounts or {}) do
    if m.type == "bind" then list[#list + 1] = m end
  end
  return list
end

-- Is path below dir, and not dir itself?
local function below(path, dir) return #path > #dir and path:sub(1, #dir + 1) == (dir == "/" and dir or dir .. "/") end

local function refuse(text, ...) base.fail("REFUSED_BY_POLICY", text:format(...)) end

local function who(c) return (c.Labels or {})["perry.workspace"] or (c.Names or {})[1] or "?" end

-- Before a container is made or started. The engine tells what the workspaces of every agent have, those that do not run included.
function M.check(ctx)
  local mine = binds(ctx)
  if #mine == 0 then return end
  for _, m in ipairs(mine) do
    for _, other in ipairs(mine) do
      if not other.readonly and below(m.source, other.source) then
        refuse("the mount of %s lies in %s, which the workspace can write: it could put a link in its place", m.source, other.source)
      end
    end
  end
  for _, c in ipairs(docker.list { label = { "perry.agent" } }) do
    for _, theirs in ipairs(who(c) ~= ctx.name and c.Mounts or {}) do
      for _, m in ipairs(theirs.Type == "bind" and mine or {}) do
        if theirs.RW and below(m.source, theirs.Source) then
          refuse("the mount of %s lies in %s, which the workspace %s can write: it could put a link in its place", m.source, theirs.Source, who(c))
        elseif not m.readonly and below(theirs.Source, m.source) then
          refuse("the mount of %s would let the workspace put a link in the place of %s, which the workspace %s has mounted", m.source, theirs.Source, who(c))
        end
      end
    end
  end
end

-- Of a container that has just started, before anything of the user runs for long: is what was mounted what was meant? Ends it where not. An agent that may not look at the
-- container's process (it is not root) relies on the check before.
function M.verify(ctx, container)
  for _, m in ipairs(binds(ctx)) do
    if files.is_mounted(container.State.Pid, container.Id, m.source, m.target) == false then
      docker.stop(container.Id, 0)
      refuse("what the engine mounted at %s is not %s: its path was changed meanwhile, and the container was stopped", m.target, m.source)
    end
  end
end

return M
