-- perry: api=1
-- A prefix for everybody who shares the tailnet.
return function(ws, base)
  return "alice-" .. base()
end
