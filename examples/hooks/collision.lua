-- perry: api=1
-- A name that a production device holds is never taken, nor shadowed as prod-web-1.
return function(_, base, ev)
  if ev.wanted:sub(1, 5) == "prod-" then
    return "refuse"
  end
  return base()
end
