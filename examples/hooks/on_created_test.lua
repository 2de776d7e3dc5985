return {
  { name = "a login that is an address", ev = { user = { kind = "tailnet", login = "bob@example.com" } },
    calls = { { name = "docker.exec", args = { workspace = "web",
      argv = { "git", "config", "--global", "user.email", "bob@example.com" } } } } },
  { name = "a local user has none", calls = {} },
}
