local hour = 3600

-- Everything was quiet for so long, but what is said otherwise.
local function quiet(seconds, but)
  local all = { idle_seconds = seconds, kind = "typed", quiet = {}, builds = {} }
  for _, kind in ipairs { "started", "operation", "terminal", "exec", "stream", "used", "typed", "ssh", "connection", "tailnet", "network", "cpu",
    "disk", "agent", "build", "unknown" } do
    all.quiet[kind] = but and but[kind] or seconds
  end
  all.ttl = { seconds = 100 * hour, left = 50 * hour }
  return all
end

local function case(name, activity, action, more)
  local c = { name = name, point = "idle", activity = activity, settings = { hours = 4, build_hours = 12 }, expect = { action = action } }
  for k, v in pairs(more or {}) do c[k] = v end
  return c
end

local npm_for_days = quiet(5 * hour, { build = 0 })
npm_for_days.builds = { { name = "npm", seconds = 90 * hour } }
local npm_now = quiet(5 * hour, { build = 0 })
npm_now.builds = { { name = "npm", seconds = 90 * hour }, { name = "make", seconds = 20 } }
local over = quiet(60)
over.ttl = { seconds = 2 * hour, left = 0 }

return {
  case("nobody for five hours", quiet(5 * hour), "stop"),
  case("nobody for an hour", quiet(hour), "keep", { expect = { action = "keep", next = 3 * hour } }),
  case("another limit", quiet(5 * hour), "keep", { settings = { hours = 8, build_hours = 12 } }),
  case("an agent that waits for its model", quiet(9 * hour, { agent = 0 }), "keep"),
  case("a phone that is connected", quiet(9 * hour, { connection = 0 }), "keep"),
  case("an SSH session in which nobody types", quiet(9 * hour, { ssh = 0 }), "keep"),
  case("a terminal", quiet(9 * hour, { terminal = 0 }), "keep"),
  case("a build", npm_now, "keep"),
  case("a build that ended an hour ago", quiet(9 * hour, { build = hour }), "keep"),
  case("npm run dev for days is no build", npm_for_days, "stop"),
  case("nobody could look", quiet(9 * hour, { unknown = 0 }), "keep"),
  case("it may never stop", quiet(90 * hour), "keep", { ws = { labels = { idle = "never" } } }),
  case("the time of --ttl is over", over, "stop", { expect = { action = "stop", reason = "its time is over (--ttl 2h)" } }),
}
