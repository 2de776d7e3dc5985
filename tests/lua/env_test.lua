return {
  { name = "nothing", expect = {} },
  { name = "what was asked for", ws = { request = { env = { A = "1" } } }, expect = { A = "1" } },
  { name = "credentials", config = { credentials = { env = { KEY = "k" } }, agents = { github = { token = "t" } } },
    expect = { KEY = "k", GITHUB_TOKEN = "t" } },
  { name = "a token of one's own", config = { credentials = { env = { GITHUB_TOKEN = "mine" } },
    agents = { github = { token = "t" } } },
    expect = { GITHUB_TOKEN = "mine" } },
  { name = "--env wins", ws = { request = { env = { KEY = "asked" } } },
    config = { credentials = { env = { KEY = "k" } } }, expect = { KEY = "asked" } },
}
