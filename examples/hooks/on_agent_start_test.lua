return {
  { name = "says so", replies = { ["http.request"] = { status = 200, headers = {}, body = "" } },
    calls = { { name = "http.request", args = { url = "https://monitor.example.com/agents/up" } } } },
}
