return {
  {
    name = "tells the chat",
    settings = { chat_url = "https://chat.example.com/api" },
    ev = { error = "no space left" },
    replies = { ["http.request"] = { status = 200, headers = {}, body = "" } },
    calls = { { name = "http.request", args = { url = "https://chat.example.com/api", json = { text = "web: no space left" } } } },
  },
  { name = "nothing without a chat", calls = {} },
  { name = "says when the chat does not take it", settings = { chat_url = "https://chat.example.com/api" },
    replies = { ["http.request"] = { status = 403, headers = {}, body = "" } }, error = "the chat answered 403" },
}
