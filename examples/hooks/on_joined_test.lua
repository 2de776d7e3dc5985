local on_tailnet = { tailnet = { ip = "100.64.0.7", hostname = "web" } }
return {
  { name = "registers the address", ws = on_tailnet, replies = { ["http.request"] = { status = 204, headers = {}, body = "" } },
    calls = { { name = "http.request", args = { method = "PATCH", json = { rrsets = { { name = "web.dev.example.com.",
      records = { { content = "100.64.0.7" } } } } } } } } },
  { name = "says what the server said", ws = on_tailnet,
    replies = { ["http.request"] = { status = 422, headers = {}, body = "no such zone" } },
    error = "the DNS server answered 422: no such zone" },
}
