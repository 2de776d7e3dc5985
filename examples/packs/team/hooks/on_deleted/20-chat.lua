-- perry: api=1
local chat = require "chat"

return function(ws, ev)
  chat.say(("%s deleted the workspace %s"):format(ev.user and ev.user.login or "somebody", ws.name))
end
