return {
  { name = "puts the prefix before what is below", base = "web", expect = "alice-web" },
  { name = "also over the built-in", ws = { name = "db" }, expect = "alice-db" },
}
