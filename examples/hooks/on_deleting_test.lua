return {
  { name = "pushes", replies = { ["docker.exec"] = { code = 0, stdout = "", stderr = "" } },
    calls = { { name = "docker.exec", args = { cwd = "/home/workspace/web", argv = { "git", "push", "--all" } } } } },
  { name = "says why not", replies = { ["docker.exec"] = { code = 1, stdout = "", stderr = "no access" } },
    error = "git push: no access" },
}
