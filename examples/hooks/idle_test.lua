local evening, noon = 1700000000, 1700049600
return {
  { name = "labelled", ws = { labels = { keep = "1" } }, base = "stop", expect = { action = "keep" } },
  { name = "at noon", time = noon, base = "stop", expect = { action = "keep" } },
  { name = "in the evening", time = evening, base = { action = "stop", reason = "unused" },
    expect = { action = "stop", reason = "unused" } },
}
