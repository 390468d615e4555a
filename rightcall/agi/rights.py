"""The script in place of Wazo's ``user_set_call_rights``: may this channel's caller dial the extension?

The verdict goes into the dialplan's variable, which starts as DENY: a dialogue that breaks off cannot let the call
through by a verdict or a password of an earlier check on the same channel. When a PIN is needed, the adapter asks the
caller.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import structlog

from rightcall.agi.call import CallVariables
from rightcall.agi.decisions import Decisions
from rightcall.agi.errors import BrokenValue
from rightcall.agi.pins import Pins
from rightcall.agi.reasons import Reason, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from rightcall.agi.channel import Channel
    from rightcall.agi.metrics import AgiMetrics
    from rightcall.agi.settings import AgiSettings
    from rightcall.aio import Client

_log = structlog.get_logger()

_REASON: Final = "RIGHTCALL_REASON"
_PERMISSION: Final = "RIGHTCALL_PERMISSION"
_DECISION_ID: Final = "RIGHTCALL_DECISION_ID"
_RETRY_AFTER: Final = "RIGHTCALL_RETRY_AFTER"


class CallRights:
    """The script ``user_set_call_rights``.

    Args:
        client: the server to ask.
        settings: deadlines, and verdicts on failures.
        metrics: counts the verdicts.
    """

    def __init__(self, client: Client, settings: AgiSettings, metrics: AgiMetrics) -> None:
        self._metrics = metrics
        self._decisions = Decisions(client, settings, metrics)
        self._pins = Pins(client, settings, metrics)
        self._variables = CallVariables(settings.variable_prefix)
        self._password = f"{settings.variable_prefix}PASSWORD"
        self._authorization = f"{settings.variable_prefix}AUTHORIZATION"

    async def run(self, channel: Channel, patient: Callable[[], None]) -> None:
        """Sets the channel's verdict.

        Args:
            channel: the call.
            patient: called before a person is asked, which may take time.

        Raises:
            AgiError: the channel is gone, or sends unexpected lines.
        """
        began = time.monotonic()
        verdict, asked = await self._verdict(channel, patient)
        await channel.exchange(self._told(verdict))
        self._metrics.verdict(verdict, None if asked else time.monotonic() - began)

    async def _verdict(self, channel: Channel, patient: Callable[[], None]) -> tuple[Verdict, bool]:
        """The verdict, and whether the caller was asked for a PIN."""
        denied = self._told(Verdict(allowed=False, reason=Reason.NO_ANSWER)) | {_REASON: "", self._password: ""}
        try:
            call = self._variables.call(await channel.exchange(denied, self._variables.expressions))
        except BrokenValue as error:
            _log.warning("agi_value_broken", verdict="DENY", error=str(error))
            return Verdict(allowed=False, reason=Reason.INVALID), False
        found = await self._decisions.decide(call)
        asked = not isinstance(found, Verdict)
        if isinstance(found, Verdict):
            verdict = found
        else:
            patient()
            verdict = replace(await self._pins.ask(channel, found), decision_id=found.decision_id)
        note = _log.debug if verdict.allowed else _log.info
        note(
            "agi_allowed" if verdict.allowed else "agi_denied",
            reason=verdict.reason.value,
            permission=verdict.permission,
            decision_id=verdict.decision_id,
            retry_after=verdict.retry_after,
            caller=call.caller,
            outcall=call.outcall,
            forwarded_by=call.forwarded_by,
        )
        return verdict, asked

    def _told(self, verdict: Verdict) -> dict[str, str]:
        """A verdict as channel variables."""
        return {
            self._authorization: verdict.word,
            _REASON: verdict.reason.value,
            _PERMISSION: verdict.permission,
            _DECISION_ID: verdict.decision_id,
            _RETRY_AFTER: str(verdict.retry_after or ""),
        }
