-- perry: api=1
-- A key for each client, from a file of this machine (0600): perry start web --label client=acme
return function(ws, base)
  local client = ws.labels.client
  if not client then
    return base()
  end
  return perry.key.file("~/.config/perry/keys/" .. perry.label(client))
end
