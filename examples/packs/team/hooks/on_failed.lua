-- perry: api=1
local chat = require "chat"

return function(ws, ev)
  chat.say(("%s: %s"):format(ws.name, ev.error or "an operation failed"))
end
