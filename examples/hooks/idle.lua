-- perry: api=1
-- Workspaces labelled keep=1 stay. What the layers below would stop is left alone during working hours too.
return function(ws, base)
  local hour = perry.time() // 3600 % 24
  if ws.labels.keep or (hour >= 8 and hour < 18) then
    return "keep"
  end
  return base()
end
