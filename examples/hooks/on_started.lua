-- perry: api=1
-- Counts the starts of each workspace. The value is this layer's own and stays.
return function(ws)
  local key = "starts/" .. ws.name
  perry.kv.set(key, (perry.kv.get(key) or 0) + 1)
end
