return {
  { name = "pins", expect = "registry.example.com/team/workspace"
    .. "@sha256:0f4c3b5a697887766554433221100ffeeddccbbaa99887766554433221100ff0" },
  { name = "what was asked for wins", ws = { request = { image = "debian:12" } }, expect = "debian:12" },
}
