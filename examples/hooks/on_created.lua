-- perry: api=1
-- Who made it signs the commits there.
return function(ws, ev)
  local login = ev.user and ev.user.login
  if login and login:find("@", 1, true) then
    perry.docker.exec { workspace = ws.name, argv = { "git", "config", "--global", "user.email", login } }
  end
end
