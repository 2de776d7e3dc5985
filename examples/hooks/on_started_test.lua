return {
  { name = "the first", calls = { { name = "kv.get" }, { name = "kv.set", args = { key = "starts/web", value = 1 } } } },
  { name = "one more", replies = { ["kv.get"] = 4 },
    calls = { { name = "kv.get" }, { name = "kv.set", args = { key = "starts/web", value = 5 } } } },
}
