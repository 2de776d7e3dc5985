-- perry: api=1
-- Tells the team's chat. The token is a secret in config.json:
-- "secrets": { "chat": "file:~/.config/perry/chat-token" }
return function(ws, ev)
  local answer = perry.http.request {
    method = "POST",
    url = "https://chat.example.com/api/post",
    headers = { Authorization = "Bearer " .. perry.secret "chat" },
    json = { text = ("%s deleted the workspace %s"):format(ev.user and ev.user.login or "somebody", ws.name) },
  }
  if answer.status >= 300 then
    error("the chat answered " .. answer.status, 0)
  end
end
