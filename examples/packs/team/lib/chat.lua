-- Posts a text to the team's chat, when one is set.
local M = {}

function M.say(text)
  local url = perry.setting "chat_url"
  if not url then return end
  local answer = perry.http.request {
    method = "POST",
    url = url,
    headers = { Authorization = "Bearer " .. perry.secret "chat_token" },
    json = { text = text },
  }
  if answer.status >= 300 then error("the chat answered " .. answer.status, 0) end
end

return M
