-- The tools volume: perry-step, tailscale and tailscaled, read-only in every workspace, named by its content.
local docker = require "docker"
local base = require "base"
local errors = require "perry.errors"
local names = require "perry.names"
local net = require "net"
local store = require "store"

local M = {}

-- A container that is never started is how an archive gets into a volume.
local function with_helper(volume, image, fn)
  local id = docker.create("perry-tools-" .. base.random(6), {
    Image = image,
    Entrypoint = base.list { "/bin/true" },
    Labels = names.helper_labels(),
    HostConfig = { NetworkMode = "none", Mounts = base.list { { Type = "volume", Source = volume, Target = "/opt/perry" } } },
  })
  local ok, e = errors.try(fn, id)
  errors.attempt("removing a helper container", docker.remove, id)
  if not ok then error(e, 0) end
end

local function fill(volume, image)
  local ok, e = errors.try(docker.volume_create, volume, { ["perry.tools"] = base.version() })
  -- Somebody removed it, and the engine made another, empty and without a label, for a container that mounts it. Its name says what belongs in it.
  if not ok and not errors.is(e, "CONFLICT") then error(e, 0) end
  with_helper(volume, image, function(id)
    if not net.tools_complete(id) then net.tools_put(id) end
  end)
end

-- The volume's name; it is complete when this returns. Once a process has seen that, it costs nothing.
function M.ensure(image)
  local volume, seen = net.tools()
  if seen then return volume end
  net.locked("tools", function()
    local have, known = docker.volume_inspect(volume), store.kv_get("tools")
    if not (have and known and known.name == volume and known.created == have.CreatedAt) then
      fill(volume, image)
      have = docker.volume_inspect(volume)
      store.kv_set("tools", { name = volume, created = have.CreatedAt })
    end
    net.tools_seen(true)
  end)
  return volume
end

-- Something says that it is not complete: the next ensure looks again.
function M.forget()
  store.kv_set("tools", base.null)
  net.tools_seen(false)
end

function M.name() return (net.tools()) end

-- Why tailscale and tailscaled are not on it; nil: they are.
function M.no_tailscale() return (select(3, net.tools())) end

return M
