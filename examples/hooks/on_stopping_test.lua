return {
  { name = "a workspace with a repository", calls = { { name = "docker.exec", args = { workspace = "web" } } } },
}
