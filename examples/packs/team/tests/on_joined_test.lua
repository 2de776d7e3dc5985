return {
  { name = "nothing without a zone", calls = {} },
  {
    name = "registers the address",
    settings = { zone = "dev.example.com" },
    replies = { run = { code = 0, stdout = "", stderr = "" } },
    calls = { { name = "run", args = { argv = { "nsupdate", "-l" },
      input = "zone dev.example.com\nupdate delete web.dev.example.com A\nupdate add web.dev.example.com 60 A 100.64.0.7\nsend\n" } } },
  },
  { name = "says what nsupdate said", settings = { zone = "dev.example.com" },
    replies = { run = { code = 2, stdout = "", stderr = "update failed: REFUSED" } }, error = "update failed: REFUSED" },
}
