-- perry: api=1
-- The plan as it is about to run, whoever wrote it.
local function allowed(image)
  for _, beginning in ipairs(perry.setting "images") do
    if image:sub(1, #beginning) == beginning then return true end
  end
  return false
end

return function(ws, plan)
  if not allowed(plan.image) then return false, "the team does not run " .. plan.image .. " (setting images)" end
  for _, mount in ipairs(plan.container.mounts or {}) do
    if mount.type == "bind" then return false, "no folders of the host: " .. mount.source end
  end
  return true
end
