-- perry: api=1
-- A key made for each workspace, with tags by its label: perry start web --label env=staging
-- "tailscale": { "credentials": { "team": { ... } } } in config.json
local tags = { staging = { "tag:staging" }, ci = { "tag:ci", "tag:ephemeral" } }

return function(ws)
  local env = ws.labels.env or "dev"
  return perry.key.mint {
    credential = "team",
    tags = tags[env] or { "tag:dev" },
    ephemeral = env == "ci",
  }
end
