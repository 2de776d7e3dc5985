-- perry: api=1
-- May this caller do this kind of thing: read, use, manage or admin? No looking: this is asked on the way of a request.
local function listed(list, login, tags)
  for _, entry in ipairs(list or {}) do
    if entry == login then return true end
    for _, tag in ipairs(tags or {}) do
      if entry == tag then return true end
    end
  end
  return false
end

return function(req)
  local caller = req.caller
  if caller.kind == "local" or caller.kind == "token" then
    return true
  end
  if caller.workspace or caller.own then
    return false, "requests from this machine's own addresses and from workspaces need a token"
  end
  if caller.kind ~= "tailnet" then
    return false, "sign in with a token"
  end
  local owner = req.node and not req.node.tagged and req.node.login
  local same = owner and caller.login == owner and #(caller.tags or {}) == 0
  local known = same or listed(perry.config "access", caller.login, caller.tags)
  if not known then
    local name = caller.login or (caller.tags or {})[1]
    local text = "%s may not use this agent; admit with: perry access add %s"
    return false, text:format(name or "this device", name or "LOGIN")
  end
  if caller.unproven and not caller.approved then
    return false, "this device came to the tailnet after a workspace got a key that makes such devices; "
      .. "sign in on it once with the token (perry agent show-token)"
  end
  if req.kind == "admin" and not caller.approved then
    return false, "this needs a token, or a device that a token once approved"
  end
  return true
end
