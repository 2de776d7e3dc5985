-- The made-up moment of tests is 14 November 2023, 22:13 UTC.
local noon = 1700049600
return {
  { name = "at noon", time = noon, expect = true },
  { name = "at night", refused = "quiet hours until 6:00 UTC, it is 22:13" },
  { name = "at 5:59", time = noon - 6 * 3600 - 60, refused = "it is 5:59" },
  { name = "at 6:00", time = noon - 6 * 3600, expect = true },
  { name = "a start at night", ws = { reason = "start" }, refused = "quiet hours" },
  { name = "with the label", ws = { labels = { night = "1" } }, expect = true },
  { name = "what runs may be used and deleted", ws = { reason = "exec" }, expect = true },
}
