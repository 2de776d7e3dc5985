-- perry: api=1
-- Quiet hours. Stopping, deleting and looking are always fine, and so is what is labelled for the night.
local starts = { create = true, start = true, restart = true, clone = true }

local function within(hour, from, to)
  if from <= to then return hour >= from and hour < to end
  return hour >= from or hour < to
end

return function(ws)
  local from, to = perry.setting "quiet_from", perry.setting "quiet_to"
  local hour = perry.time() // 3600 % 24
  if starts[ws.reason] and within(hour, from, to) and not ws.labels.night then
    return false, ("quiet hours from %d:00 to %d:00 UTC; --label night=1 when it must be"):format(from, to)
  end
  return true
end
