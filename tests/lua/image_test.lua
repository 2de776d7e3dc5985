return {
  { name = "perry's own", expect = "perry:latest" },
  { name = "the configured one", config = { image = "team:1" }, expect = "team:1" },
  { name = "what was asked for wins", ws = { request = { image = "debian:12" } }, config = { image = "team:1" },
    expect = "debian:12" },
}
