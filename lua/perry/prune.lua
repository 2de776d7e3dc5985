-- Removes what carries this agent's label and belongs to no workspace any more. Homes that were kept on purpose stay, and so does all of a workspace whose
-- record was lost: adoption takes that back.
local adopt = require "perry.adopt"
local base = require "base"
local docker = require "docker"
local errors = require "perry.errors"
local leave = require "perry.leave"
local names = require "perry.names"
local net = require "net"
local network = require "perry.network"
local store = require "store"
local tools = require "perry.tools"

local M = {}

local function workspaces()
  local set, kept = {}, {}
  for _, record in ipairs(store.list()) do
    set[record.name] = true
    if record.kept then kept[record.kept] = true end
    if record.remake and record.remake.commit then kept[record.remake.commit] = true end
  end
  return set, kept
end

-- What is installed in a lost workspace may be in the image that was committed of it.
local function lost_image(ref, lost)
  for _, ws in ipairs(lost) do
    if ref:find(names.kept_repo(ws) .. ":", 1, true) == 1 then return true end
  end
end

-- First what exists, then the records: what is made meanwhile is in no list.
local function find()
  local found = { containers = base.list(), volumes = base.list(), images = base.list(), kept = base.list() }
  local containers, volumes = docker.list(names.filter()), docker.volume_list(names.filter())
  local images = docker.call("GET", "/images/json?filters=" .. '%7B%22label%22%3A%5B%22perry.agent%3D' .. names.agent .. "%22%5D%7D")
  local known, committed = workspaces()
  found.lost = base.list()
  for ws in pairs(adopt.lost()) do
    found.lost[#found.lost + 1] = ws
    known[ws] = true
  end
  table.sort(found.lost)
  for _, c in ipairs(containers) do
    local name = (c.Names or {})[1] or c.Id
    local ws = c.Labels["perry.workspace"]
    if ws and not known[ws] then found.containers[#found.containers + 1] = name:gsub("^/", "") end
  end
  for _, v in ipairs(volumes) do
    local ws = v.Labels["perry.workspace"]
    if ws and not known[ws] then
      local keep = v.Name == names.home_volume(ws) and store.kv_get("kept-home/" .. ws) or v.Name == names.tailscale_volume(ws) and leave.keeps(ws)
      local list = keep and found.kept or found.volumes
      list[#list + 1] = v.Name
    end
  end
  for _, image in ipairs(images) do
    for _, ref in ipairs(image.RepoTags or {}) do
      if ref:find("^perry%-kept/") and not committed[ref] and not lost_image(ref, found.lost) then found.images[#found.images + 1] = ref end
    end
  end
  for _, v in ipairs(docker.volume_list { label = { "perry.tools" } }) do
    if v.Name ~= tools.name() and v.Name:find("^perry%-tools%-") then found.volumes[#found.volumes + 1] = v.Name end
  end
  return found
end

function M.run(info)
  local found = find()
  found.dryRun = info.input.dryRun == true
  if found.dryRun then
    net.locked("networks", function() found.networks = network.unused() end)
    return found
  end
  local failed = base.list()
  local function each(list, fn)
    local done = base.list()
    for _, name in ipairs(list) do
      local ok, e = errors.try(fn, name)
      -- An old tools volume that a workspace still mounts stays until that one is made anew.
      if ok then done[#done + 1] = name elseif not errors.says(e, "in use") then failed[#failed + 1] = name .. ": " .. errors.message(e) end
    end
    return done
  end
  found.containers = each(found.containers, docker.remove)
  found.volumes = each(found.volumes, docker.volume_remove)
  net.locked("networks", function() found.networks = each(network.unused(), network.remove) end)
  found.images = each(found.images, docker.image_remove)
  found.failed = failed
  return found
end

return M
