-- Containers of the original Perry (TypeScript). A workspace that was taken over (its record has "legacy") gets a container of ours around the same home at
-- its first start; the original's steps aside and stays, stopped, until the workspace is deleted: what was installed in it is nowhere else.
local docker = require "docker"
local errors = require "perry.errors"
local names = require "perry.names"
local op = require "op"

local M = {}

local grace = 10 -- seconds

-- What adoption calls it; it has no id.
M.agent = "original"

function M.aside(ws) return names.container(ws) .. ".original" end

-- Is it one that the original made for the workspace of this name?
function M.made(name, labels)
  labels = type(labels) == "table" and labels or {}
  return labels["workspace.managed"] == "true" and labels["workspace.name"] == name and not labels["perry.agent"]
end

-- The same, of a workspace that was taken over. Its state.json knew the id.
function M.is(record, container)
  if not (record and record.legacy) then return false end
  local labels = type(container.Config.Labels) == "table" and container.Config.Labels or {}
  return M.made(record.name, labels) or (not labels["perry.agent"] and record.legacy.containerId == container.Id)
end

-- Its container under the name that ours needs, or nil.
function M.find(record)
  if not (record and record.legacy) then return nil end
  local container = docker.inspect(names.container(record.name))
  return container and M.is(record, container) and container or nil
end

function M.stop(record)
  local container = M.find(record)
  if not (container and container.State.Running) then return end
  if container.State.Paused then docker.call("POST", "/containers/" .. container.Id .. "/unpause") end
  docker.stop(container.Id, grace)
end

-- Renamed last: a run that was killed does all of it again.
function M.step_aside(record)
  local container = M.find(record)
  if not container then return end
  op.progress("prepare", ("making a container around the home of the original's; that one stays, stopped, as %s"):format(M.aside(record.name)))
  M.stop(record)
  errors.attempt("its restart policy", docker.call, "POST", "/containers/" .. container.Id .. "/update", { RestartPolicy = { Name = "no" } })
  docker.call("POST", ("/containers/%s/rename?name=%s"):format(container.Id, M.aside(record.name)))
end

-- With the workspace.
function M.remove(record)
  if not record.legacy then return end
  for _, name in ipairs { names.container(record.name), M.aside(record.name) } do
    local container = docker.inspect(name)
    if container and M.is(record, container) then docker.remove(container.Id) end
  end
end


return M
