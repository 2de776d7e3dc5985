-- The certificates that this machine trusts beyond those of its distribution: behind a proxy that inspects TLS an image needs them to fetch anything.
local files = require "files"

local M = {}

local bundle, shipped = "/etc/ssl/certs/ca-certificates.crt", "/usr/share/ca-certificates"
local limit = 8 << 20 -- bytes

local function each_certificate(text, fn)
  for pem in text:gsub("\r", ""):gmatch("%-%-%-%-%-BEGIN CERTIFICATE%-%-%-%-%-.-%-%-%-%-%-END CERTIFICATE%-%-%-%-%-\n?") do fn((pem:gsub("\n$", ""))) end
end

-- PEM text; "" where there are none, as is usual, or where the distribution's own cannot be told apart.
function M.extra()
  local known, extra, count = {}, {}, 0
  for _, vendor in ipairs(files.names(shipped)) do
    for _, name in ipairs(files.names(shipped .. "/" .. vendor)) do
      each_certificate(files.read(("%s/%s/%s"):format(shipped, vendor, name), limit) or "", function(pem)
        known[pem], count = true, count + 1
      end)
    end
  end
  if count == 0 then return "" end
  each_certificate(files.read(bundle, limit) or "", function(pem)
    if not known[pem] then extra[#extra + 1] = pem end
  end)
  return table.concat(extra, "\n")
end

return M
