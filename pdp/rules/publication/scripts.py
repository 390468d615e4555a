"""The common part of the scripts that run inside Redis."""

from __future__ import annotations

NAMING = """
local function call(...)
  local result = redis.pcall(...)
  if type(result) == 'table' and result.err then
    error(select(1, ...) .. ': ' .. result.err, 0)
  end
  return result
end
"""
"""Lua: ``redis.call`` whose errors name the command; Redis says only that a script lacks some right."""
