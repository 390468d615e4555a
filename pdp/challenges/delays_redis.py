"""Delays in Redis, for all replicas together: each step is one script.

    {prefix}attempts:{TENANT}:delays:record/PERMISSION/CLIENT         hash: until, and for each proven caller its end
    {prefix}attempts:{TENANT}:delays:repeated/PERMISSION/CLIENT       hash: marks of wrong PINs, and the ends
    {prefix}attempts:{TENANT}:delays:owed/PERMISSION/CLIENT/CALLER    hash: until, and a caller's wrong PINs by meter
    {prefix}attempts:{TENANT}:delays:meter/METER                      hash: level, at, until (see ``delays``)

Every key has an expiry. The braces round the tenant are Redis Cluster's and stand in the keys. The clock is Redis'.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final

from pdp.challenges.counting_scripts import CountingScripts
from pdp.challenges.delays import (
    FORGIVEN_SECONDS,
    LANES,
    MOST_REPEATED,
    RECORD_SECONDS,
    TENANT_SCOPE,
    WRONG_SECONDS,
    Charge,
    Delayed,
    Lane,
    Look,
    lanes,
    permission_scope,
)
from pdp.rules.publication.keys import DEFAULT_PREFIX
from pdp.rules.publication.scripts import NAMING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from redis import Redis

    from pdp.challenges.delays import Guess, Paces

_METERS: Final = ":delays:meter/"
_METERS_AT: Final = 4
"""The place of the first meter among the keys, counted from 1 as in Lua."""


def _table(items: Iterable[object]) -> str:
    """A list in Lua."""
    return "{" + ", ".join(map(str, items)) + "}"


def _lane(lane: Lane) -> str:
    """The meters of a lane as places among the keys."""
    return _table(place + _METERS_AT for place in LANES[lane])


_COMMON: Final = (
    NAMING
    + f"""
local first_meter = {_METERS_AT}
"""
    + """
local caller, mark = ARGV[2], ARGV[3]
local now = tonumber(ARGV[1])
if not now then
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local function whole(number) return string.format('%.0f', number) end
local function get(key, field) return tonumber(call('HGET', key, field) or '0') end
local function sink(key, longest, back)
  return math.max(0, get(key, 'level') - (now - get(key, 'at')) / longest - back)
end
local function keep(key, level, ends, memory)
  call('HSET', key, 'level', string.format('%.17g', level), 'at', whole(now), 'until', whole(ends))
  call('PEXPIRE', key, whole(math.max(0, ends - now) + memory))
end
"""
)
# KEYS: record, repeated, owed, and the meters. ARGV: the time or nothing, caller, mark, three settings, and the pace of
# each meter. All times in milliseconds. The result: the wait, and the number and the ends of the delays of each meter
# that was charged.
_TAKE: Final = (
    _COMMON
    + f"""
local of_proven = {_table(map(_lane, lanes(proven=True, known=True)))}
local of_known = {_table(map(_lane, lanes(proven=False, known=True)))}
local of_strange = {_table(map(_lane, lanes(proven=False, known=False)))}
"""
    + """
local memory, forgiven, most = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local proven = caller ~= '' and get(KEYS[1], caller) > now
local open = proven and of_proven or get(KEYS[1], 'until') > now and of_known or of_strange
local wait
for _, lane in ipairs(open) do
  local late = 0
  for _, at in ipairs(lane) do late = math.max(late, get(KEYS[at], 'until') - now) end
  wait = math.min(wait or late, late)
  if late == 0 then
    open = lane
    break
  end
end
if wait > 0 or proven and get(KEYS[2], mark) > now then return {whole(wait)} end
local reply = {'0'}
if get(KEYS[3], 'until') <= now then call('DEL', KEYS[3]) end
for _, at in ipairs(open) do
  local pace = 7 + (at - first_meter) * 3
  local free, first, longest = tonumber(ARGV[pace]), tonumber(ARGV[pace + 1]), tonumber(ARGV[pace + 2])
  local level, before = sink(KEYS[at], longest, 0) + 1, get(KEYS[at], 'until')
  local ends, over = now, math.ceil(level) - free
  if over >= 0 then ends = now + math.min(first * 2 ^ math.min(over, 32), longest) end
  keep(KEYS[at], level, ends, memory)
  reply[#reply + 1], reply[#reply + 2], reply[#reply + 3] = at - first_meter, whole(ends), whole(before)
  if caller ~= '' then call('HINCRBY', KEYS[3], at - first_meter, 1) end
end
if caller ~= '' then
  call('HSET', KEYS[3], 'until', whole(now + forgiven))
  call('PEXPIRE', KEYS[3], whole(forgiven))
end
if proven then
  if call('HINCRBY', KEYS[2], 'count', 1) > most then call('DEL', KEYS[2]) end
  call('HSET', KEYS[2], mark, whole(now + memory))
  call('PEXPIRE', KEYS[2], whole(memory))
end
return reply
"""
)
# KEYS as above. ARGV: the time or nothing, caller, mark, two settings, the longest delay of each meter, the charges.
_SUCCEED: Final = (
    _COMMON
    + """
local memory, remembered = tonumber(ARGV[4]), tonumber(ARGV[5])
local charges, owed = 6 + #KEYS - first_meter + 1, {}
if get(KEYS[3], 'until') > now then
  for number = 0, #KEYS - first_meter do
    local count = get(KEYS[3], number)
    if count > 0 then owed[number] = count end
  end
end
call('DEL', KEYS[3])
if not next(owed) then
  for at = charges, #ARGV, 3 do owed[tonumber(ARGV[at])] = 1 end
end
for number, count in pairs(owed) do
  local key = KEYS[first_meter + number]
  keep(key, sink(key, tonumber(ARGV[6 + number]), count), get(key, 'until'), memory)
end
for at = charges, #ARGV, 3 do
  local key = KEYS[first_meter + ARGV[at]]
  if call('HGET', key, 'until') == ARGV[at + 1] then call('HSET', key, 'until', ARGV[at + 2]) end
end
call('HSET', KEYS[1], 'until', whole(now + remembered))
if caller ~= '' then call('HSET', KEYS[1], caller, whole(now + remembered)) end
call('PEXPIRE', KEYS[1], whole(remembered))
call('HDEL', KEYS[2], mark)
return 1
"""
)


_LEFT: Final = _COMMON + "return whole(get(KEYS[1], 'until') - now)"
_END: Final = NAMING + "return call('DEL', KEYS[1])"


class RedisDelays:
    """Delays that all replicas count together.

    Args:
        client: connects to Redis; the timeouts bound the wait for a reply.
        paces: how many PINs are looked at; the same for every replica.
        prefix: of every key.
        now: the time in seconds; None: Redis' own.
    """

    def __init__(
        self,
        client: Redis,
        paces: Paces,
        *,
        prefix: str = DEFAULT_PREFIX,
        now: Callable[[], float] | None = None,
    ) -> None:
        self._scripts = CountingScripts(client)
        self._paces = paces
        self._prefix = prefix
        self._now = now

    def take(self, guess: Guess) -> Look:
        """See ``Delays``."""
        paces = [meter.pace for meter in self._paces.meters(guess)]
        wait, *charged = self._scripts.run(
            _TAKE,
            self._keys(guess),
            *self._told(guess),
            _milliseconds(WRONG_SECONDS),
            _milliseconds(FORGIVEN_SECONDS),
            MOST_REPEATED,
            *chain.from_iterable((one.free, _milliseconds(one.first), _milliseconds(one.longest)) for one in paces),
        )
        numbers = map(int, charged)
        return Look(int(wait) / 1000, tuple(map(Charge, numbers, numbers, numbers)))

    def succeed(self, guess: Guess, look: Look) -> None:
        """See ``Delays``."""
        self._scripts.run(
            _SUCCEED,
            self._keys(guess),
            *self._told(guess),
            _milliseconds(WRONG_SECONDS),
            _milliseconds(RECORD_SECONDS),
            *(_milliseconds(meter.pace.longest) for meter in self._paces.meters(guess)),
            *chain.from_iterable(map(_numbers, look.charges)),
        )

    def delayed(self) -> Iterator[Delayed]:
        """See ``Delays``."""
        start = f"{self._prefix}attempts:{{"
        for key in self._scripts.keys(start, f"*}}{_METERS}*"):
            left = int(self._scripts.run(_LEFT, (key,), self._clock()))
            if left > 0:
                tenant, _, meter = key[len(start) :].partition(f"}}{_METERS}")
                yield Delayed(tenant, meter, left / 1000)

    def end(self, tenant: str, permission: str) -> bool:
        """See ``Delays``."""
        start = f"{self._prefix}attempts:{{{tenant}}}{_METERS}"
        scopes = permission_scope(permission), TENANT_SCOPE
        found = [key for scope in scopes for key in self._scripts.keys(f"{start}{scope}", "*")]
        return any([self._scripts.run(_END, (key,)) for key in found])  # noqa: C419 - all are deleted

    def _clock(self) -> str | int:
        return "" if self._now is None else _milliseconds(self._now())

    def _told(self, guess: Guess) -> tuple[str | int, str, str]:
        return self._clock(), guess.caller, guess.mark

    def _keys(self, guess: Guess) -> list[str]:
        base = f"{self._prefix}attempts:{{{guess.tenant}}}:delays:"
        whose = f"{guess.permission}/{guess.client}"
        return [
            f"{base}record/{whose}",
            f"{base}repeated/{whose}",
            f"{base}owed/{whose}/{guess.caller}",
            *(f"{self._prefix}attempts:{{{guess.tenant}}}{_METERS}{meter.name}" for meter in self._paces.meters(guess)),
        ]


def _numbers(charge: Charge) -> tuple[int, int, int]:
    return charge.meter, round(charge.until), round(charge.before)


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
