-- Builds the workspace image from the files that perry brings along.
local base = require "base"
local docker = require "docker"
local op = require "op"
local steps = require "perry.steps"
local trust = require "perry.trust"

local M = {}

local variants = { small = { "perry:small" }, full = { "perry:full", "perry:latest" } }

function M.run(info)
  local variant = info.input.variant or "full"
  local tags = variants[variant]
  if not tags then base.fail("BAD_REQUEST", ('variant: expected "small" or "full", got "%s"'):format(variant)) end
  op.steps(base.list { { id = "build", label = "Building the image " .. tags[1] } })
  local id
  steps.run("build", function()
    docker.image_build(tags[1], { VARIANT = variant, EXTRA_CA = trust.extra() }, info.input.noCache == true, "build")
    id = docker.image_inspect(tags[1]).Id
    -- The small one stands in until there is a full one.
    if variant == "small" and not docker.image_inspect("perry:latest") then tags[2] = "perry:latest" end
    for i = 2, #tags do
      local repo, tag = tags[i]:match("^(.-):(.+)$")
      docker.call("POST", ("/images/%s/tag?repo=%s&tag=%s"):format(id, repo, tag))
    end
  end)
  require("perry.background").mark_outdated()
  return { image = tags[#tags], tags = base.list(tags), id = id }
end

return M
