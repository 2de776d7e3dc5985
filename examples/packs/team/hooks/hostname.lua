-- perry: api=1
return function(ws, base)
  return perry.label(perry.setting "prefix" .. "-" .. base())
end
