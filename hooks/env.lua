-- perry: api=1
-- The environment of the workspace's shells, services and execs. Values from credentials.env and the GitHub token
-- come as references: the agent puts them in, hooks never see them. What was asked for with --env wins.
return function(ws)
  local env = {}
  for name, value in pairs(perry.config "credentials.env" or {}) do
    env[name] = value
  end
  local token = perry.config "agents.github.token"
  if token and token ~= "" then
    env.GITHUB_TOKEN = env.GITHUB_TOKEN or token
  end
  for name, value in pairs(ws.request and ws.request.env or {}) do
    env[name] = value
  end
  return env
end
