-- perry: api=1
-- The image that the workspace runs: what was asked for, else what config.json says, else the image
-- that `perry build` makes.
return function(ws)
  return ws.request and ws.request.image or perry.config "image" or "perry:latest"
end
