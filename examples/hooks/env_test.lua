return {
  { name = "gives the team's repositories the password", base = { A = "1" },
    expect = { A = "1", DATABASE_PASSWORD = perry.secret "db" } },
  { name = "and nobody else", ws = { repo = { owner = "else" } }, base = { A = "1" }, expect = { A = "1" } },
}
