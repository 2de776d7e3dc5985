local day, night = 1700000000 // 86400 * 86400 + 12 * 3600, 1700000000 // 86400 * 86400 + 23 * 3600

return {
  { name = "by day", time = day, expect = true },
  { name = "by night", time = night, refused = "quiet hours from 22:00 to 6:00 UTC" },
  { name = "after midnight", time = night + 4 * 3600, refused = "quiet hours" },
  { name = "in the morning", time = night + 8 * 3600, expect = true },
  { name = "deleting is fine", time = night, ws = { reason = "delete" }, expect = true },
  { name = "when it must be", time = night, ws = { labels = { night = "1" } }, expect = true },
  { name = "hours of another continent", settings = { quiet_from = 11, quiet_to = 14 }, time = day, refused = "from 11:00 to 14:00" },
}
