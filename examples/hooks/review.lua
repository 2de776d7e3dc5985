-- perry: api=1
-- No folder of this machine inside a workspace, whatever allowedMounts says.
return function(ws, plan)
  for _, mount in ipairs(plan.container.mounts) do
    if mount.type == "bind" then
      return false, "host folders are not for workspaces here: " .. mount.source
    end
  end
  return true
end
