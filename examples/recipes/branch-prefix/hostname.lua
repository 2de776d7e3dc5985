-- perry: api=1
-- alice-feature-login-web: who asked, the branch (main is left out), and the name.
return function(ws, base)
  local parts = {}
  local login = ws.user and ws.user.login or ws.owner
  if login then
    parts[#parts + 1] = login:match("^[^@]*")
  end
  if ws.branch and ws.branch ~= "main" then
    parts[#parts + 1] = ws.branch
  end
  parts[#parts + 1] = base()
  return perry.label(table.concat(parts, "-"))
end
