local fine = { status = 200, headers = {}, body = "" }

return {
  { name = "nothing without a chat and a zone", calls = {} },
  {
    name = "takes the name out of DNS, then tells the chat",
    settings = { zone = "dev.example.com", chat_url = "https://chat.example.com/api" },
    ev = { user = { kind = "tailnet", login = "bob@example.com" } },
    replies = { run = { code = 0, stdout = "", stderr = "" }, ["http.request"] = fine },
    calls = {
      { name = "run", args = { input = "zone dev.example.com\nupdate delete web.dev.example.com A\nsend\n" } },
      { name = "http.request", args = { json = { text = "bob@example.com deleted the workspace web" } } },
    },
  },
}
