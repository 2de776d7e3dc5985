return {
  { name = "lets the usual plan pass", expect = true },
  {
    name = "refuses a host folder",
    plan = { container = { mounts = { { type = "bind", source = "/srv", target = "/srv", readonly = true } } } },
    refused = "host folders are not for workspaces here: /srv",
  },
}
