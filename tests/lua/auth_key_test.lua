return {
  { name = "nothing configured", expect = false },
  { name = "the configured key", config = { tailscale = { authKey = "reference" } }, expect = perry.key.config() },
  { name = "switched off", config = { tailscale = { authKey = "reference", enabled = false } }, expect = false },
  { name = "an API credential", config = { tailscale = { credentials = { main = { kind = "api" } },
    tags = { "tag:ws" } } },
    expect = perry.key.mint { credential = "main", tags = { "tag:ws" } } },
}
