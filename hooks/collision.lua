-- perry: api=1
-- The tailnet gave us NAME-1: somebody holds the name. Our own old device makes way when it is offline and was not
-- kept on purpose.
return function(_, _, ev)
  local device = ev and ev.device
  if device and device.ours and not device.online and not device.kept then
    return "replace_offline"
  end
  return "keep"
end
