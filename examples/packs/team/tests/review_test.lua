return {
  { name = "the usual plan", expect = true },
  { name = "an image of somebody else", plan = { image = "docker.io/evil:latest" }, refused = "the team does not run docker.io/evil:latest" },
  { name = "images are a setting", settings = { images = { "registry.example.com/" } }, plan = { image = "registry.example.com/web:3" }, expect = true },
  { name = "a folder of the host", plan = { container = { mounts = { { type = "bind", source = "/srv", target = "/srv", readonly = true } } } },
    refused = "no folders of the host: /srv" },
}
