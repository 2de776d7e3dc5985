-- perry: api=1
-- prod-* keeps its device on the tailnet when the workspace is deleted; a new workspace of that name resumes it.
return function(ws, base)
  if ws.name:sub(1, 5) == "prod-" then
    return "keep"
  end
  return base()
end
