-- What things of ours are called on the engine, and the labels that say whose they are.
local base = require "base"
local store = require "store"

local M = {}

M.step = base.step_path
M.home = "/home/workspace"

local agent = store.agent_id()
M.agent = agent
M.agent8 = agent:sub(1, 8)

function M.container(ws) return "workspace-" .. ws end
function M.home_volume(ws) return "workspace-" .. ws end
function M.docker_volume(ws) return "workspace-" .. ws .. "-docker" end
function M.tailscale_volume(ws) return "workspace-" .. ws .. "-tailscale" end

-- The container that makes way for a new one, until that one stands.
function M.old_container(ws) return "workspace-" .. ws .. ".old" end

-- What was committed of a container so that its successor keeps what the user installed.
function M.kept_repo(ws) return "perry-kept/" .. M.agent8 .. "-" .. ws end

function M.labels(ws, more)
  local labels = { ["perry.agent"] = agent, ["perry.workspace"] = ws }
  for k, v in pairs(more or {}) do labels[k] = v end
  return labels
end

-- Of a container that only helps for a moment (filling a volume, copying one).
function M.helper_labels() return { ["perry.agent"] = agent, ["perry.helper"] = base.run_id() } end

-- The machine and the folder of the agent that makes something: so that another one can tell whether it is still there.
function M.where() return base.hostname() .. ":" .. (base.policy_places():match("^(.*)/[^/]*$") or "") end

function M.filter() return { label = { "perry.agent=" .. agent } } end

return M
