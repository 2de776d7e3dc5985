-- The built-in idle hook: a workspace stays, until its --ttl is over.
local function over(seconds) return { ttl = { seconds = seconds, left = 0 }, idle_seconds = 0 } end
local function stops(text, seconds)
  return { name = "over after " .. text, activity = over(seconds), expect = { action = "stop", reason = "its time is over (--ttl " .. text .. ")" } }
end

return {
  { name = "stays although nobody uses it", activity = { idle_seconds = 1000000 }, expect = { action = "keep" } },
  { name = "a second is left", activity = { ttl = { seconds = 7200, left = 1 } }, expect = { action = "keep" } },
  stops("2h", 7200), stops("90m", 5400), stops("1d", 86400), stops("61s", 61), stops("36h", 129600),
}
