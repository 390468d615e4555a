"""Asks a caller for a PIN, and has the server check the digits, which go nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from rightcall.agi.channel import End
from rightcall.agi.errors import ChannelGone
from rightcall.agi.reasons import Reason, Verdict
from rightcall.client.errors import InvalidCall, PinsDelayed, RightcallError
from rightcall.client.values import Decision

if TYPE_CHECKING:
    from rightcall.agi.channel import Channel
    from rightcall.agi.metrics import AgiMetrics
    from rightcall.agi.settings import AgiSettings
    from rightcall.aio import Client
    from rightcall.client.values import Answer

_log = structlog.get_logger()

MAX_KEYS: Final = 40
"""The longest PIN that a permission can have."""
_MAX_SURPLUS: Final = 200
"""Number of keys beyond ``MAX_KEYS`` that are ignored; more end the dialogue."""
_PIN_KEYS: Final = frozenset("0123456789*#")


class Dialled(NamedTuple):
    """A caller's input for a PIN.

    Attributes:
        keys: one text, cut to slightly more than the longest PIN.
        prompted: whether the sound could be played.
    """

    keys: str
    prompted: bool

    @property
    def possible(self) -> bool:
        """Whether any PIN is like that."""
        return 0 < len(self.keys) <= MAX_KEYS and _PIN_KEYS.issuperset(self.keys)


class Pins:
    """Asks for PINs.

    Args:
        client: has the server check PINs.
        settings: sounds, attempts, and time limits.
        metrics: counts the results.
    """

    def __init__(self, client: Client, settings: AgiSettings, metrics: AgiMetrics) -> None:
        self._client = client
        self._settings = settings
        self._metrics = metrics

    async def ask(self, channel: Channel, answer: Answer) -> Verdict:
        """Whether the caller knows the PIN that ``answer`` asks for."""
        permission = answer.permission.id if answer.permission else ""
        if not answer.challenge:
            _log.error("agi_no_challenge", advice="give server and loader the same --secret-key-file")
            return Verdict(allowed=False, reason=Reason.UNANSWERABLE, permission=permission)
        await channel.answer()
        silent, prompted = True, True
        for attempt in range(self._settings.attempts):
            dialled = await self._dialled(channel, self._settings.retry_prompt if attempt else self._settings.prompt)
            silent, prompted = silent and not dialled.keys, prompted and dialled.prompted
            verdict = await self._checked(answer.challenge, permission, dialled)
            if verdict is not None:
                return verdict
        return Verdict(
            allowed=False, reason=Reason.NO_SOUND if silent and not prompted else Reason.PIN, permission=permission
        )

    async def _checked(self, challenge: str, permission: str, dialled: Dialled) -> Verdict | None:
        """The verdict after a PIN; None: another PIN may be tried."""
        if not dialled.possible:
            self._metrics.pin("impossible" if dialled.keys else "none")
            return None
        try:
            result = await self._client.answer_challenge(challenge, dialled.keys, timeout=self._settings.deadline)
        except PinsDelayed as error:
            self._metrics.pin("delayed")
            return Verdict(allowed=False, reason=Reason.DELAYED, permission=permission, retry_after=error.retry_after)
        except RightcallError as error:
            self._metrics.pin("no-answer")
            # The server's message about a rejected PIN might quote the PIN.
            message = "the server rejects it" if isinstance(error, InvalidCall) else str(error)
            _log.warning("agi_pin_unchecked", permission=permission, error=message)
            return Verdict(allowed=False, reason=Reason.NO_ANSWER, permission=permission)
        if result.decision is Decision.ALLOW:
            self._metrics.pin("right")
            return Verdict(allowed=True, reason=Reason.PIN, permission=permission)
        self._metrics.pin("locked" if result.retry_after else "wrong")
        if result.attempts_left:
            return None
        reason = Reason.LOCKED if result.retry_after else Reason.PIN
        return Verdict(allowed=False, reason=reason, permission=permission, retry_after=result.retry_after)

    async def _dialled(self, channel: Channel, prompt: str) -> Dialled:
        """One input of the caller, whole: including ``#`` if PINs may hold one, and without excess keys."""
        seconds = self._settings.digit_seconds
        found = await channel.prompted(prompt, seconds, MAX_KEYS + 1)
        prompted = found is not None
        if found is None:  # there is no such sound, or the caller hung up: then this ends the dialogue
            found = await channel.digits(seconds, MAX_KEYS + 1)
            _log.error("agi_sound_missing", sound=prompt, advice="install the sound, or name another one")
            self._metrics.sound_missing()
        keys = found.keys
        while found.end is End.HASH and self._settings.hash_in_pin and len(keys) <= MAX_KEYS:
            found = await channel.digits(seconds, MAX_KEYS + 1 - len(keys))
            keys += f"#{found.keys}"
        if len(keys) > MAX_KEYS and found.end is not End.SILENCE:
            await self._pass_over(channel)
        return Dialled(keys, prompted)

    async def _pass_over(self, channel: Channel) -> None:
        """Reads the rest of an overlong input, so as not to count as the next one."""
        for _ in range(_MAX_SURPLUS // MAX_KEYS):
            found = await channel.digits(self._settings.digit_seconds, MAX_KEYS)
            if found.end is End.SILENCE or (found.end is End.HASH and not self._settings.hash_in_pin):
                return
        raise ChannelGone("the caller does not stop pressing keys")
