-- perry: api=1
-- The image by what is cloned: data scientists get theirs without asking for it.
local images = { ["acme/models"] = "registry.example.com/acme/python-gpu:3", ["acme/shop"] = "registry.example.com/acme/node:22" }

return function(ws, base)
  local repo = ws.repo and ws.repo.owner and ws.repo.owner .. "/" .. ws.repo.name
  return ws.request.image or images[repo or ""] or base()
end
