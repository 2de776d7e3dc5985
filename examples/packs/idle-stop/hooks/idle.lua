-- perry: api=1
-- Stops a workspace after some quiet hours. Quiet is: no terminal, SSH session or command is open in it, no client is connected
-- to its servers, no coding agent and no build runs, nothing comes from the tailnet, and processor, disk and network rest.
-- The label idle=never keeps a workspace for good.

-- `npm run dev` runs for days. What really builds uses the processor, and counts by that.
local function only_servers(builds)
  for _, build in ipairs(builds or {}) do
    if build.seconds < perry.setting "build_hours" * 3600 then return false end
  end
  return builds ~= nil and #builds > 0
end

local function quiet_seconds(activity)
  local least = activity.quiet.started
  for kind, seconds in pairs(activity.quiet) do
    if seconds < least and not (kind == "build" and only_servers(activity.builds)) then least = seconds end
  end
  return least
end

return function(ws, base, activity)
  local below = base() -- a --ttl that is over
  if below.action == "stop" or ws.labels.idle == "never" then return below end
  local limit = perry.setting "hours" * 3600
  local quiet = quiet_seconds(activity)
  if quiet < limit then return { action = "keep", next = limit - quiet } end
  return { action = "stop", reason = ("quiet for %.3g h (last: %s)"):format(quiet / 3600, activity.kind) }
end
