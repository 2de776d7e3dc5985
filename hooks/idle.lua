-- perry: api=1
-- Nobody has used the workspace for a while: keep it or stop it?
return function()
  return "keep"
end
