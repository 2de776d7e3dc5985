return {
  {
    name = "posts who deleted what",
    ev = { user = { kind = "tailnet", login = "bob@example.com" } },
    replies = { ["http.request"] = { status = 200, headers = {}, body = "" } },
    calls = { { name = "http.request", args = { method = "POST",
      json = { text = "bob@example.com deleted the workspace web" } } } },
  },
  { name = "says when the chat does not take it",
    replies = { ["http.request"] = { status = 404, headers = {}, body = "" } },
    error = "the chat answered 404" },
  { name = "says when the chat is away", replies = { ["http.request"] = { error = "cannot reach chat.example.com" } },
    error = "cannot reach chat.example.com" },
}
