-- perry: api=1
-- A limit for everybody who has not asked for less; the label gpu is for those who train models.
return function(ws, base)
  local spec = base()
  local most = perry.bytes(perry.setting "memory")
  if ws.labels.gpu then
    spec.gpus = spec.gpus or "all"
  elseif not spec.memory or perry.bytes(spec.memory) > most then
    spec.memory = most
  end
  return spec
end
