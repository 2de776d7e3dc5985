-- perry: api=1
-- The registry's token, when there is one; a variable that the user set stays.
local registry = perry.setting "registry_token"

return function(ws, base)
  local env = base()
  if registry and not env.NPM_TOKEN then env.NPM_TOKEN = registry end
  return env
end
