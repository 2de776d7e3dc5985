return {
  { name = "a production name", ev = { wanted = "prod-web" }, expect = "refuse" },
  { name = "any other", ev = { wanted = "web" }, base = "keep", expect = "keep" },
}
