-- perry: api=1
-- May this happen at all? Asked before anything is touched: create, start, restart, clone, delete, exec, shell.
-- Every layer is asked, and one refusal refuses.
return function(ws)
  local name = ws.name
  if #name == 0 or #name > 63 then
    return false, "a workspace name has 1 to 63 characters"
  end
  if name:find("[^a-z0-9-]") or name:sub(1, 1) == "-" or name:sub(-1) == "-" then
    return false, "a workspace name has lowercase letters, digits and hyphens, and a letter or digit at both ends"
  end
  if ws.reason ~= "create" and ws.reason ~= "clone" then
    return true
  end
  local prefix = perry.config "tailscale.enabled" and perry.config "tailscale.hostnamePrefix" or ""
  if #prefix + #name > 63 then
    local text = "the tailnet hostname %s%s would have %d characters, and 63 is the most: take a shorter name, or a shorter "
      .. "tailscale.hostnamePrefix"
    return false, text:format(prefix, name, #prefix + #name)
  end
  local agent = ws.agent or {}
  local most = perry.config "limits.workspaces"
  if most and (agent.workspaces or 0) >= most then
    return false, ("limits.workspaces is %d, and there are as many already"):format(most)
  end
  local each = perry.config "limits.perUser"
  if each and (agent.owned or 0) >= each then
    return false, ("limits.perUser is %d, and you have as many already"):format(each)
  end
  local room = perry.config "limits.disk"
  if room and (agent.disk or 0) >= perry.bytes(room) then
    return false, ("the homes take %.1f GiB already (limits.disk is %s)"):format(agent.disk / 2 ^ 30, room)
  end
  return true
end
