return {
  { name = "names of the tailnet", expect = { accept_dns = true, accept_routes = false } },
}
