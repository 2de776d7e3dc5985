-- perry: api=1
-- A database password for the team's repositories. It is in a file of the host that only you can read:
-- "secrets": { "db": "file:~/.config/perry/db-password" } in config.json. No hook ever sees its text.
return function(ws, base)
  local env = base()
  if ws.repo and ws.repo.owner == "acme" then
    env.DATABASE_PASSWORD = perry.secret "db"
  end
  return env
end
