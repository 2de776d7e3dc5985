-- perry: api=1
-- When each workspace was last in use, for a report.
return function(ws, ev)
  perry.kv.set("stopped/" .. ws.name, ev.at)
end
