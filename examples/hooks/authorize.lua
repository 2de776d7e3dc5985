-- perry: api=1
-- Devices with tag:contractor may look and use what is there, and make or delete nothing.
return function(req)
  for _, tag in ipairs(req.caller.tags or {}) do
    if tag == "tag:contractor" and (req.kind == "manage" or req.kind == "admin") then
      return false, "contractors use the workspaces that they are given"
    end
  end
  return true
end
