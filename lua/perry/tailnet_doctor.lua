-- The workspaces' half of perry doctor, most of it the troubleshooting in docs/tailscale.md, as checks: {check, ok, message, mend}.
local adopt = require "perry.adopt"
local apart = require "perry.apart"
local base = require "base"
local docker = require "docker"
local errors = require "perry.errors"
local devices = require "perry.devices"
local names = require "perry.names"
local refusals = require "perry.refusals"
local spec = require "perry.spec"
local store = require "store"
local tools = require "perry.tools"

local M = {}

-- What its tailscaled says now; addresses: which of these it may reach.
local function look(record, addresses)
  local argv = { names.step, "look" }
  for _, address in ipairs(addresses) do argv[#argv + 1] = address end
  local ok, result = errors.try(docker.exec, record.containerId, argv, { timeout = 20000 })
  if not ok then return { error = errors.message(result) } end
  local fine, said = errors.try(base.decode, result.stdout)
  return fine and said or { error = "its helper is of another version than this agent" }
end

-- What stands against one workspace that runs, and how it sees the others; nil: it was to join nothing.
local function check_one(record, addresses, add)
  local t, name = record.tailnet or { state = "none" }, record.name
  local current = docker.inspect(record.containerId)
  if not current then return nil end
  local restart = ("perry stop %s && perry start %s"):format(name, name)
  if not spec.joins(current) then
    add(name, false, "it was started before there was an auth key", restart)
    return nil
  end
  local now = look(record, addresses)
  if now.error then
    add(name, false, ("%s; docker logs %s says more"):format(now.error, names.container(name)), restart)
  elseif t.state == "failed" then
    add(name, false, "not on the tailnet: " .. (t.error or "?"), t.mend)
  elseif now.state ~= "Running" then
    add(name, false, "its tailscaled is not connected: " .. tostring(now.state), restart)
  else
    add(name, true, ("%s (%s)"):format(t.dnsName or "?", t.ip or "?"))
  end
  return now
end

local function each_running()
  local list = {}
  for _, record in ipairs(store.list()) do
    if record.containerId and store.status(record.name) == "running" then list[#list + 1] = record end
  end
  return list
end

local function describe(pairs)
  local shown = table.concat(pairs, ", ", 1, math.min(#pairs, 3))
  return #pairs > 3 and ("%s and %d more"):format(shown, #pairs - 3) or shown
end

-- Two that know of each other's devices can reach each other.
local function check_apart(running, seen, add)
  local by_ip, pairs = {}, {}
  for _, record in ipairs(running) do
    if record.tailnet and record.tailnet.ip then by_ip[record.tailnet.ip] = record.name end
  end
  for _, record in ipairs(running) do
    for _, ip in ipairs(seen[record.name] and seen[record.name].sees or {}) do
      local other = by_ip[ip]
      if other and record.name < other then pairs[#pairs + 1] = record.name .. " and " .. other end
    end
  end
  if #pairs > 0 then
    add("workspaces apart", true, ("on the tailnet these can reach each other, as its access rules have it: %s; docs/tailscale.md has rules that keep them apart")
      :format(describe(pairs)))
  end
end

function M.run()
  local found = base.list()
  local function add(check, ok, message, mend) found[#found + 1] = { check = check, ok = ok, message = message, mend = mend } end
  apart.check(add)
  local lost = adopt.names()
  if #lost > 0 then
    add("lost records", false, ("of %s there are containers or homes, and no record"):format(table.concat(lost, ", ")), "perry adopt")
  end
  local state = devices.status()
  if not state.enabled or (state.key == base.null and #state.credentials == 0) then
    add("workspace tailnet", true, "workspaces join no tailnet" .. (state.enabled and ": there is no auth key (perry tailnet setup takes one)"
      or base.config "tailscale.authKey" and " (tailscale.enabled is false)" or ": there is no auth key (perry tailnet setup takes one)"))
    return found
  end
  local missing = tools.no_tailscale()
  add("workspace tailscale", not missing, missing or "tailscale and tailscaled are there for workspaces", "make install (scripts/tailscale.sh), and restart the agent")
  for _, warning in ipairs(state.warnings) do add("tailnet", warning == devices.persistent_warning, warning, "perry tailnet") end
  local running, addresses, seen, magic = each_running(), {}, {}, true
  for _, record in ipairs(running) do addresses[#addresses + 1] = record.tailnet and record.tailnet.ip or nil end
  for _, record in ipairs(running) do
    seen[record.name] = check_one(record, addresses, add)
    if seen[record.name] and seen[record.name].magicDns == false then magic = false end
  end
  if not magic then
    add("workspace names", false, "MagicDNS is off in the tailnet: workspaces are reached by address only", refusals.places(base.config "tailscale.loginServer").magic_dns)
  end
  check_apart(running, seen, add)
  return found
end

return M
