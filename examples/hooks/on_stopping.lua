-- perry: api=1
-- Lets the databases of a Compose project close their files. Waited for, up to the deadline.
return function(ws)
  if ws.repo then
    perry.docker.exec { workspace = ws.name, cwd = "/home/workspace", timeout = 30,
      argv = { "sh", "-c", "for f in */compose.yaml; do [ -e \"$f\" ] && docker compose -f \"$f\" stop; done; true" } }
  end
end
