-- Changes the team's DNS by nsupdate, which finds the server and its key in the agent's own configuration (-l).
local M = {}

-- lines: what nsupdate is told, after the zone
function M.update(zone, lines)
  local script = "zone " .. zone .. "\n" .. table.concat(lines, "\n") .. "\nsend\n"
  local done = perry.run { argv = { "nsupdate", "-l" }, input = script, timeout = 10 }
  if done.code ~= 0 then error("nsupdate: " .. done.stderr, 0) end
end

return M
