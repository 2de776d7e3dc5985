return {
  { name = "staging", ws = { labels = { env = "staging" } },
    expect = perry.key.mint { credential = "team", tags = { "tag:staging" }, ephemeral = false } },
  { name = "ci leaves no device behind", ws = { labels = { env = "ci" } },
    expect = perry.key.mint { credential = "team", tags = { "tag:ci", "tag:ephemeral" }, ephemeral = true } },
  { name = "everything else", expect = perry.key.mint { credential = "team", tags = { "tag:dev" }, ephemeral = false } },
}
