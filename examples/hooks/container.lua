-- perry: api=1
-- Four GiB for each workspace, unless it is labelled for the GPU: perry start train --label gpu=1
return function(ws, base)
  local spec = base()
  if ws.labels.gpu then
    spec.gpus = "all"
  else
    spec.memory = ws.request.memory or "4GiB"
  end
  return spec
end
