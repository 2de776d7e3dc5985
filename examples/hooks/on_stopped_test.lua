return {
  { name = "notes the time", ev = { at = 1700000123 },
    calls = { { name = "kv.set", args = { key = "stopped/web", value = 1700000123 } } } },
}
