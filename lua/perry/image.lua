-- Images: the one a plan names must be here before a container is made of it.
local base = require "base"
local docker = require "docker"
local errors = require "perry.errors"
local op = require "op"

local M = {}

local function ours(ref) return ref == "perry" or ref:sub(1, 6) == "perry:" end

-- The id of the image, pulled when it is not here.
function M.ensure(ref, step)
  local image = docker.image_inspect(ref)
  if not image and ours(ref) then
    base.fail("NOT_FOUND", ("there is no image %s on this machine; make it with: perry build"):format(ref))
  end
  if not image then
    op.progress(step, "pulling " .. ref)
    local ok, e = errors.try(docker.image_pull, ref, step)
    if not ok then error(errors.wrap(e, ("the image %s is not on this machine and cannot be pulled"):format(ref)), 0) end
    image = docker.image_inspect(ref)
    if not image then base.fail("NOT_FOUND", "the image " .. ref .. " was pulled and is not there") end
  end
  return image.Id
end

-- The id, or nil; nothing is pulled.
function M.id(ref)
  local image = docker.image_inspect(ref)
  return image and image.Id
end

return M
