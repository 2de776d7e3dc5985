-- perry: api=1
-- Tells a monitor that this agent stops on purpose. Waited for.
return function()
  perry.http.request { method = "POST", url = "https://monitor.example.com/agents/down", timeout = 3, json = { at = perry.time() } }
end
