-- perry: api=1
-- Nothing that was committed is lost: pushes every branch before the home goes. Waited for; that it fails is shown,
-- and the deletion goes on (a consent, admit, could refuse it).
return function(ws)
  local pushed = ws.repo and perry.docker.exec { workspace = ws.name, cwd = "/home/workspace/" .. ws.repo.name, timeout = 50,
    argv = { "git", "push", "--all" } }
  if pushed and pushed.code ~= 0 then
    error("git push: " .. pushed.stderr, 0)
  end
end
