-- perry: api=1
-- Tells a monitor that this agent runs.
return function()
  perry.http.request { method = "POST", url = "https://monitor.example.com/agents/up", json = { at = perry.time() } }
end
