"""What Wazo's ``user_set_call_rights`` does, by a Rightcall server: may this channel's caller dial what was dialled?

The verdict goes where the dialplan looks for it. Until there is one, it says DENY: whatever ends the conversation, a
verdict or a password of an earlier check on the same channel cannot let this call through. When a password is asked
for, this adapter asks for it itself, and the digits go to the server and nowhere else.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from rightcall.agi.errors import AgiError, ChannelGone, ProtocolError
from rightcall.agi.settings import OnFailure
from rightcall.client.errors import RightcallError
from rightcall.client.values import Decision

if TYPE_CHECKING:
    from rightcall.agi.channel import Channel
    from rightcall.agi.settings import AgiSettings
    from rightcall.aio import Client
    from rightcall.client.values import Answer

_log = structlog.get_logger()

SCRIPTS: Final = ("", "user_set_call_rights")
"""What Asterisk may ask for; other scripts are other programs'."""
_ALLOW: Final = "ALLOW"
_DENY: Final = "DENY"
_MAX_DIGITS: Final = 40
_SETTING_SECONDS: Final = 1.0
"""What Asterisk has to take a verdict in; it is on the other end of the line and does nothing else meanwhile."""


class NoCaller(Exception):
    """The channel has a user, but not the UUID by which Rightcall knows users."""


@dataclass
class _Question:
    """What the channel told so far; None: nothing yet."""

    outcall: str | None = None
    caller: str = ""
    extension: str = ""
    tenant: str = ""


class CallRights:
    """Decides for channels.

    Args:
        client: whom to ask.
        settings: how long that may take, and what happens then.
    """

    def __init__(self, client: Client, settings: AgiSettings) -> None:
        self._client = client
        self._settings = settings
        prefix = settings.variable_prefix
        self._authorization = f"{prefix}AUTHORIZATION"
        self._password = f"{prefix}PASSWORD"
        self._outcall = f"{prefix}OUTCALLID"
        self._user_uuid = f"{prefix}USERUUID"
        self._user_id = f"{prefix}USERID"
        self._tenant = f"{prefix}TENANT_UUID"
        self._extension = f"{prefix}DSTNUM"

    async def decide(self, channel: Channel) -> None:
        """Sets the channel's verdict.

        Raises:
            AgiError: the channel is gone, or cannot be understood at all.
        """
        question = _Question()
        try:
            async with asyncio.timeout(self._settings.deadline):
                answer = await self._ask(channel, question)
        except ChannelGone:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the call needs a verdict
            allowed = self._without_answer(question, error)
        else:
            allowed = answer.allowed or (
                answer.decision is Decision.CHALLENGE and await self._challenge(channel, answer)
            )
        if allowed:
            await self._tell(channel, _ALLOW)
        elif question.outcall is None:  # it may not have been told yet
            await self._tell(channel, _DENY)

    async def _ask(self, channel: Channel, question: _Question) -> Answer:
        await channel.set_variable(self._password, "")
        await channel.set_variable(self._authorization, _DENY)
        # First of all, because it says what happens if the others do not come.
        question.outcall = await channel.variable(self._outcall)
        question.caller = await channel.variable(self._user_uuid)
        question.extension = await channel.variable(self._extension)
        if not question.caller:
            # Nobody's call is decided by the outcall's permissions alone. A user without UUID must not pass for nobody.
            if await channel.variable(self._user_id):
                raise NoCaller
            question.tenant = await channel.variable(self._tenant)
        return await self._client.check(
            extension=question.extension,
            caller=question.caller,
            outcall=question.outcall,
            tenant=question.tenant,
            timeout=self._settings.deadline,
        )

    def _without_answer(self, question: _Question, error: Exception) -> bool:
        """Whether a call without an answer is allowed."""
        allowed = self._settings.on_failure is OnFailure.OPEN or (
            self._settings.on_failure is OnFailure.INTERNAL and question.outcall == ""
        )
        context = {"caller": question.caller, "outcall": question.outcall, "verdict": _ALLOW if allowed else _DENY}
        if isinstance(error, NoCaller):
            _log.error(
                "agi_caller_unknown",
                **context,
                advice=f"set {self._user_uuid} on the channel, as Wazo does; {self._user_id} alone names no user here",
            )
        elif isinstance(error, TimeoutError):
            _log.warning("agi_no_answer", **context, error=f"no answer within {self._settings.deadline:g} s")
        elif isinstance(error, (RightcallError, AgiError)):
            _log.warning("agi_no_answer", **context, error=str(error))
        else:
            _log.error("agi_failed", **context, exc_info=error)
        return allowed

    async def _challenge(self, channel: Channel, answer: Answer) -> bool:
        """Whether the caller knows the password. Without an answer from the server, nobody does."""
        if not answer.challenge:
            _log.error("agi_no_challenge", advice="give server and loader the same --secret-key-file")
            return False
        await channel.answer()
        settings = self._settings
        for attempt in range(settings.attempts):
            prompt = settings.retry_prompt if attempt else settings.prompt
            digits = await channel.digits(prompt, settings.digit_seconds, _MAX_DIGITS)
            if not digits:
                continue
            try:
                async with asyncio.timeout(settings.deadline):
                    result = await self._client.answer_challenge(answer.challenge, digits, timeout=settings.deadline)
            except (RightcallError, TimeoutError) as error:
                _log.warning("agi_no_answer", verdict=_DENY, error=str(error) or "no answer in time")
                return False
            if result.decision is Decision.ALLOW:
                return True
            if not result.attempts_left:
                return False
        return False

    async def _tell(self, channel: Channel, verdict: str) -> None:
        try:
            async with asyncio.timeout(_SETTING_SECONDS):
                await channel.set_variable(self._authorization, verdict)
        except TimeoutError:
            raise ProtocolError(f"Asterisk did not take the verdict {verdict}") from None
