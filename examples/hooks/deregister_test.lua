return {
  { name = "production stays", ws = { name = "prod-web" }, expect = "keep" },
  { name = "all others go", base = { "logout", "api" }, expect = { "logout", "api" } },
  { name = "a product is not production", ws = { name = "product" }, base = { "api" }, expect = { "api" } },
}
