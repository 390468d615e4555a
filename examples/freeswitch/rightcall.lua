-- Asks Rightcall about a call, and the caller for a PIN where one is needed: for FreeSWITCH's mod_lua.
--
--   <action application="lua" data="rightcall.lua 1"/>        1: id of the outcall; none for calls within the house
--
-- It sets rightcall=yes where the call may be made, and hangs up where it may not. README.md has the rest.

local settings = {
  url = os.getenv("RIGHTCALL_URL") or "http://127.0.0.1:9464",
  seconds = "0.3", -- a caller waits for a dial tone; mod_lua holds the call's thread meanwhile, and no other
  token_file = os.getenv("RIGHTCALL_TOKEN_FILE"),
  emergency = { ["112"] = true, ["911"] = true },
  prompt = "ivr/ivr-please_enter_pin_followed_by_pound.wav",
  wrong = "ivr/ivr-pin_or_extension_is-invalid.wav",
  denied = "ivr/ivr-call_rejected.wav",
  milliseconds = 10000,
}

local json -- cjson: apt-get install lua-cjson

-- One argument of a command that a shell reads.
local function quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

-- The response to a document, or nothing. The document goes over standard input: a PIN in an argument shows in `ps`.
local function post(path, document)
  local out = os.tmpname()
  local command = "curl -s -f --max-time " .. settings.seconds .. " -H 'Content-Type: application/json'"
  if settings.token_file then
    command = command .. " -H @" .. quoted(settings.token_file) -- its line: Authorization: Bearer TOKEN
  end
  command = command .. " --data-binary @- -o " .. quoted(out) .. " " .. quoted(settings.url .. path)
  local pipe = io.popen(command, "w")
  pipe:write(json.encode(document))
  local ended = pipe:close()
  local file = io.open(out)
  local body = file and file:read("a")
  if file then file:close() end
  os.remove(out)
  if not ended then return nil end
  return json.decode(body or "")
end

-- Whether a PIN is typed that opens the call.
local function opens(challenge)
  local left = 1
  while left > 0 and session:ready() do
    local pin = session:playAndGetDigits(1, 40, 1, settings.milliseconds, "#", settings.prompt, "", "[0-9*]+")
    if pin == nil or pin == "" then return false end
    local answer = post("/rightcall/v1/challenge", { challenge = challenge, password = pin })
    if answer == nil then return false end -- it may have been an attempt: not sent again
    if answer.decision == true then return true end
    left = answer.context and answer.context.attempts_left or 0
    if left > 0 then session:streamFile(settings.wrong) end
  end
  return false
end

local function may_call(caller, extension, outcall)
  local found = post("/access/v1/evaluation", {
    subject = { type = "user", id = caller },
    action = { name = "call" },
    resource = { type = "extension", id = extension },
    context = { outcall = outcall },
  })
  if found == nil or type(found.context) ~= "table" then return false, "no decision" end
  if found.decision == true and found.context.decision == "ALLOW" then return true, "ALLOW" end
  local step_up = found.context.step_up
  if found.context.decision == "CHALLENGE" and step_up and step_up.challenge then
    session:answer()
    return opens(step_up.challenge), "PIN"
  end
  return false, found.context.decision or "DENY"
end

local extension = session:getVariable("destination_number") or ""
-- Who calls, as the directory says after authentication: never the caller id, which a telephone writes.
local caller = session:getVariable("rightcall_user") or session:getVariable("user_name") or ""
local outcall = argv and argv[1] or ""

local function decided()
  if settings.emergency[extension] then return true, "emergency" end
  json = require("cjson.safe")
  return may_call(caller, extension, outcall)
end

local sound, allowed, why = pcall(decided)
if not sound then -- the dialplan goes on behind a script that fails
  allowed, why = false, "no decision"
end
freeswitch.consoleLog(allowed and "INFO" or "NOTICE", "rightcall: " .. caller .. " to " .. extension .. ": " .. why .. "\n")
if allowed then
  session:setVariable("rightcall", "yes")
else
  session:setVariable("rightcall_reason", why)
  if session:ready() then session:streamFile(settings.denied) end
  session:hangup(why == "no decision" and "NORMAL_TEMPORARY_FAILURE" or "CALL_REJECTED")
end
