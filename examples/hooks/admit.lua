-- perry: api=1
-- Quiet hours: between 22:00 and 6:00 UTC nothing is created or started, unless it is labelled so: --label night=1
-- perry.time() is the moment of the request.
local starts = { create = true, start = true, restart = true, clone = true }

return function(ws)
  local hour = perry.time() // 3600 % 24
  if starts[ws.reason] and (hour >= 22 or hour < 6) and not ws.labels.night then
    return false, ("quiet hours until 6:00 UTC, it is %d:%02d"):format(hour, perry.time() // 60 % 60)
  end
  return true
end
