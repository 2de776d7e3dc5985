return {
  { name = "the name", expect = "web" },
  { name = "with the prefix", config = { tailscale = { hostnamePrefix = "box-" } }, expect = "box-web" },
  { name = "as a label", config = { tailscale = { hostnamePrefix = "Alice's " } }, expect = "alice-s-web" },
}
