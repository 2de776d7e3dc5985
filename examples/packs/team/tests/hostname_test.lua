return {
  { name = "the team's name comes first", base = "web", expect = "team-web" },
  { name = "it can be set", settings = { prefix = "Blue Team" }, base = "web", expect = "blue-team-web" },
}
