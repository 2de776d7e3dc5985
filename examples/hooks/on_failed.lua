-- perry: api=1
-- What went wrong, in the agent's log in one line that a monitor can look for.
return function(ws, ev)
  perry.log(("FAILED workspace=%s operation=%s error=%s"):format(ws.name, ev.operation, ev.error or "?"))
end
