-- A scripted channel for examples/freeswitch/rightcall.lua: lua freeswitch.lua SCRIPT NUMBER CALLER OUTCALL [KEYS ...]
-- It prints what became of the call: each application with its argument, a line each.
local script, number, caller, outcall = arg[1], arg[2], arg[3], arg[4]
local typed = 4
local variables = { destination_number = number, rightcall_user = caller }

session = {
  getVariable = function(_, name) return variables[name] end,
  setVariable = function(_, name, value) print("set " .. name .. "=" .. value) end,
  ready = function() return true end,
  answer = function() print("answer") end,
  streamFile = function(_, sound) print("play " .. sound:match("([^/]+)%.wav$")) end,
  hangup = function(_, cause) print("hangup " .. cause) end,
  playAndGetDigits = function()
    typed = typed + 1
    return arg[typed] or ""
  end,
}
freeswitch = { consoleLog = function(_, text) io.stderr:write(text) end }
argv = outcall ~= "" and { outcall } or {}
dofile(script)
