return {
  { name = "the registry's token, by reference", base = {}, expect = { NPM_TOKEN = perry.secret "registry_token" } },
  { name = "the user's own stays", base = { NPM_TOKEN = "mine" }, expect = { NPM_TOKEN = "mine" } },
}
