return {
  { name = "a database", port = { process = "postgres", number = 5432 }, expect = { announce = false, expose = false } },
  { name = "a dev server", base = { announce = true, expose = true }, expect = { announce = true, expose = true } },
  { name = "over the built-in", expect = { announce = true, label = "node" } },
}
