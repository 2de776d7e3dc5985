local function cloned(owner, name) return { repo = { owner = owner, name = name } } end
return {
  { name = "the team's", ws = cloned("acme", "models"), expect = "registry.example.com/acme/python-gpu:3" },
  { name = "any other", ws = cloned("acme", "docs"), base = "b:1", expect = "b:1" },
  { name = "what was asked for wins", ws = { request = { image = "debian:12" } }, expect = "debian:12" },
}
