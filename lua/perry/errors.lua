-- Errors here are tables {code, message, data, status} of the core; our own Lua's faults are texts.
local base = require "base"

local M = {}

function M.message(e) return type(e) == "table" and e.message or tostring(e) end
function M.code(e) return type(e) == "table" and e.code or "INTERNAL_SERVER_ERROR" end
function M.is(e, code) return type(e) == "table" and e.code == code end
function M.cancelled(e) return M.is(e, "CLIENT_CLOSED_REQUEST") end

-- Does the engine's text say this (a plain part of it, whatever its case)?
function M.says(e, text) return M.message(e):lower():find(text, 1, true) ~= nil end

-- Runs fn; false and the error when it raises.
function M.try(fn, ...)
  local args = table.pack(...)
  return xpcall(function() return fn(table.unpack(args, 1, args.n)) end, base.guard)
end

-- Does it, and only logs when it fails: for what must not stand in the way of the rest.
function M.attempt(what, fn, ...)
  local ok, e = M.try(fn, ...)
  if not ok then base.log("warn", what .. ": " .. M.message(e)) end
  return ok
end

-- The same error with words before it.
function M.wrap(e, prefix)
  if type(e) ~= "table" then return e end
  e.message = prefix .. ": " .. e.message
  return e
end

return M
