"""Attempts in Redis, for all replicas together: each step is one script, so none comes between count and check.

    {prefix}attempts:{subject}               hash: total, wrong:WHAT, until, by, lockouts (see ``attempts``)
    {prefix}attempts:{subject}:used:NONCE    string with an expiry: a challenge that opened a call

The braces round the subject are Redis Cluster's and stand in the keys. Redis' own clock is used, so replicas need not
agree on the time. While Redis is away no password is accepted, and no client waits for Redis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pdp.challenges.attempts import LONGEST_LOCKOUT, MEMORY_SECONDS, Lockout, Turn, TurnState, new_turn_id
from pdp.challenges.counting_scripts import CountingScripts
from pdp.rules.publication.keys import DEFAULT_PREFIX
from pdp.rules.publication.scripts import NAMING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from pdp.challenges.attempts import Limits

# KEYS: the subject's hash, the challenge's mark. All times in milliseconds.
_TAKE = (
    NAMING
    + """
local what, turn, attempts, lockout = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local longest, memory = tonumber(ARGV[5]), tonumber(ARGV[6])
if call('EXISTS', KEYS[2]) == 1 then return {'used', 0, 0} end
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lockouts = tonumber(call('HGET', KEYS[1], 'lockouts') or '0')
local locked_until = tonumber(call('HGET', KEYS[1], 'until') or '0')
if locked_until > now then return {'locked', 0, locked_until - now} end
if locked_until > 0 then
  call('DEL', KEYS[1])
  call('HSET', KEYS[1], 'lockouts', lockouts)
end
call('HINCRBY', KEYS[1], 'wrong:' .. what, 1)
local left = attempts - call('HINCRBY', KEYS[1], 'total', 1)
local locked = 0
if left <= 0 then
  left = 0
  locked = math.min(lockout * 2 ^ math.min(lockouts, 32), longest)
  call('HSET', KEYS[1], 'until', string.format('%.0f', now + locked), 'by', turn, 'lockouts', lockouts + 1)
end
call('PEXPIRE', KEYS[1], string.format('%.0f', locked + memory))
return {'taken', left, locked}
"""
)
_GIVE_BACK = (
    NAMING
    + """
local what, turn = ARGV[1], ARGV[2]
if call('HGET', KEYS[1], 'by') == turn then
  call('HDEL', KEYS[1], 'until', 'by')
  call('HINCRBY', KEYS[1], 'lockouts', -1)
end
if tonumber(call('HGET', KEYS[1], 'wrong:' .. what) or '0') > 0 then
  call('HINCRBY', KEYS[1], 'wrong:' .. what, -1)
  call('HINCRBY', KEYS[1], 'total', -1)
end
return 1
"""
)
_SUCCEED = (
    NAMING
    + """
local what, turn, good_for = ARGV[1], ARGV[2], ARGV[3]
if not call('SET', KEYS[2], turn, 'NX', 'PX', good_for) then
  -- The client may ask a second time because it did not hear the first answer.
  return call('GET', KEYS[2]) == turn and 1 or 0
end
if call('HGET', KEYS[1], 'by') == turn then
  call('HDEL', KEYS[1], 'until', 'by')
  call('HINCRBY', KEYS[1], 'lockouts', -1)
end
local wrong = call('HGET', KEYS[1], 'wrong:' .. what)
if wrong then
  call('HINCRBY', KEYS[1], 'total', -wrong)
  call('HDEL', KEYS[1], 'wrong:' .. what)
end
return 1
"""
)


_LOCKED = (
    NAMING
    + """
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return {tonumber(call('HGET', KEYS[1], 'until') or '0') - now, tonumber(call('HGET', KEYS[1], 'lockouts') or '0')}
"""
)
_UNLOCK = NAMING + "return call('DEL', KEYS[1])"


class RedisAttempts:
    """Attempts that all replicas count together.

    Args:
        client: connects to Redis; the timeouts bound the wait for a reply.
        limits: limits of attempts and lockouts; the same for every replica.
        prefix: of every key.
    """

    def __init__(self, client: Redis, limits: Limits, *, prefix: str = DEFAULT_PREFIX) -> None:
        self._scripts = CountingScripts(client)
        self._prefix = prefix
        lockout, longest = _milliseconds(limits.lockout_seconds), _milliseconds(LONGEST_LOCKOUT)
        self._limits = (limits.attempts, lockout, max(lockout, longest), _milliseconds(MEMORY_SECONDS))

    def take(self, subject: str, what: str, nonce: str) -> Turn:
        """See ``Attempts``."""
        turn = new_turn_id()
        state, left, locked = self._run(_TAKE, subject, nonce, what, turn, *self._limits)
        return Turn(TurnState(state.decode()), left, locked / 1000, turn)

    def give_back(self, subject: str, what: str, nonce: str, turn: Turn) -> None:
        """See ``Attempts``."""
        self._run(_GIVE_BACK, subject, nonce, what, turn.id)

    def succeed(self, subject: str, what: str, nonce: str, turn: Turn, seconds: float) -> bool:
        """See ``Attempts``."""
        # One millisecond at least: a challenge may expire while its password is looked at.
        return bool(self._run(_SUCCEED, subject, nonce, what, turn.id, max(1, _milliseconds(seconds))))

    def lockouts(self) -> Iterator[Lockout]:
        """See ``Attempts``."""
        start = f"{self._prefix}attempts:{{"
        for key in self._scripts.keys(start, "*/*}"):
            left, lockouts = self._scripts.run(_LOCKED, (key,))
            if left > 0:
                yield Lockout(key[len(start) : -1], left / 1000, lockouts)

    def unlock(self, subject: str) -> bool:
        """See ``Attempts``."""
        return bool(self._run(_UNLOCK, subject, ""))

    def _run(self, script: str, subject: str, nonce: str, *arguments: str | int) -> Any:
        key = f"{self._prefix}attempts:{{{subject}}}"
        return self._scripts.run(script, (key, f"{key}:used:{nonce}"), *arguments)


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
