-- perry: api=1
local dns = require "dns"

return function(ws)
  local zone = perry.setting "zone"
  if not zone then return end
  local name = ws.name .. "." .. zone
  dns.update(zone, { "update delete " .. name .. " A", "update add " .. name .. " 60 A " .. ws.tailnet.ip })
end
