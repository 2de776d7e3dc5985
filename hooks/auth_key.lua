-- perry: api=1
-- Whether and how the workspace joins a tailnet. The answer says where the agent finds the key; the key itself never
-- gets here.
return function()
  if perry.config "tailscale.enabled" == false then
    return false
  end
  if perry.config "tailscale.authKey" then
    return perry.key.config()
  end
  local credential = next(perry.config "tailscale.credentials" or {})
  return credential and perry.key.mint { credential = credential, tags = perry.config "tailscale.tags" } or false
end
