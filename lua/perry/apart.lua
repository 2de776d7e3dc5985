-- Does the engine keep workspaces' networks apart? Its firewall rules do that, and whoever reloads the machine's firewall takes them away without a
-- word: so it is tried, from one workspace that runs to another.
local docker = require "docker"
local errors = require "perry.errors"

local M = {}

-- A packet that is dropped is never answered. A refusal is an answer, too: it came through.
local script = 'exec 3<>"/dev/tcp/$0/22"'
local seconds = 2

local function address(container)
  for _, network in pairs(container.NetworkSettings.Networks or {}) do
    if network.IPAddress and network.IPAddress ~= "" then return network.IPAddress end
  end
end

-- true, false, or nil where its image cannot tell.
function M.reaches(from, to)
  local ip = address(to)
  if not ip then return nil end
  local ok, result = errors.try(docker.exec, from.Id, { "timeout", tostring(seconds), "bash", "-c", script, ip }, { timeout = 20000 })
  if not ok or (result.code >= 125 and result.code <= 127) then return nil end
  if result.code == 0 or result.stderr:find("refused", 1, true) then return true end
  if result.code == 124 or result.stderr:find("unreachable", 1, true) or result.stderr:find("No route", 1, true) then return false end
end

-- running: the records of those that run.
function M.check(running, add)
  local tried, last = nil, nil
  for _, record in ipairs(running) do
    local container = docker.inspect(record.containerId)
    if container and container.State.Running and address(container) then
      if last then
        tried = M.reaches(last.container, container)
        if tried then
          add("workspaces' networks", false, ("%s reaches %s over the engine's networks: its firewall rules are not there, or others stand above them")
            :format(last.name, record.name), "sudo systemctl restart docker")
          return
        end
        if tried == false then break end
      end
      last = { name = record.name, container = container }
    end
  end
  add("workspaces' networks", true, tried == false and "apart: one workspace was tried from another, and is out of its reach"
    or "not tried: it takes two workspaces that run, with bash in one")
end

return M
