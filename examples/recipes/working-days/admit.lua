-- perry: api=1
-- New workspaces on working days only.
return function(ws)
  local weekday = (perry.time() // 86400 + 4) % 7 -- 0 is Sunday
  if ws.reason == "create" and (weekday == 0 or weekday == 6) then
    return false, "new workspaces are made on working days"
  end
  return true
end
