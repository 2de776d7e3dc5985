-- perry: api=1
-- Registers the workspace in the team's DNS (PowerDNS) once it is on the tailnet: web.dev.example.com.
-- "secrets": { "dns": "file:~/.config/perry/dns-key" } in config.json
local zone = "dev.example.com."

return function(ws)
  local name = ws.name .. "." .. zone
  local answer = perry.http.request {
    method = "PATCH",
    url = "https://dns.example.com/api/v1/servers/localhost/zones/" .. zone,
    headers = { ["X-API-Key"] = perry.secret "dns" },
    json = { rrsets = { { name = name, type = "A", ttl = 60, changetype = "REPLACE",
      records = { { content = ws.tailnet.ip, disabled = false } } } } },
  }
  if answer.status >= 300 then
    error(("the DNS server answered %d: %s"):format(answer.status, answer.body), 0)
  end
end
