return {
  { name = "the client's key", ws = { labels = { client = "acme" } },
    expect = perry.key.file "~/.config/perry/keys/acme" },
  { name = "a label is no path", ws = { labels = { client = "../../etc/passwd" } },
    expect = perry.key.file "~/.config/perry/keys/etc-passwd" },
  { name = "no client, the usual key", base = perry.key.config(), expect = perry.key.config() },
}
