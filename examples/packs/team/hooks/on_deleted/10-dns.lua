-- perry: api=1
local dns = require "dns"

return function(ws)
  local zone = perry.setting "zone"
  if zone then dns.update(zone, { "update delete " .. ws.name .. "." .. zone .. " A" }) end
end
