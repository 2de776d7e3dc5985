return {
  { name = "user and branch", ws = { branch = "feature/login", user = { login = "alice@example.com" } },
    expect = "alice-feature-login-web" },
  { name = "main is left out", expect = "alice-web" },
  { name = "a long branch is cut to a label", ws = { branch = ("x"):rep(100) },
    expect = perry.label("alice-" .. ("x"):rep(100) .. "-web") },
}
