"""Decides a channel's call: by itself where no rule can apply, else by the server, else by the failure mode."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import structlog

from rightcall.agi.reasons import Reason, Verdict
from rightcall.agi.settings import OnFailure, UnknownTenant
from rightcall.client import errors, values
from rightcall.client.values import Decision, Stage

if TYPE_CHECKING:
    from rightcall.agi.call import ChannelCall
    from rightcall.agi.metrics import AgiMetrics
    from rightcall.agi.settings import AgiSettings
    from rightcall.aio import Client
    from rightcall.client.values import Answer

_log = structlog.get_logger()

_REASONS: Final = {
    values.Reason.EMERGENCY: Reason.EMERGENCY,
    values.Reason.UNKNOWN_CALLER: Reason.UNKNOWN_CALLER,
    values.Reason.UNKNOWN_OUTCALL: Reason.UNKNOWN_OUTCALL,
    values.Reason.CHALLENGE_UNANSWERABLE: Reason.UNANSWERABLE,
}
"""The channel's words for the server's reasons that are more specific than the stage."""
_MAX_ASKED: Final = 128
"""Calls that the server is asked about at the same time."""


class Decisions:
    """Decides calls.

    Args:
        client: the client of the server.
        settings: the server's deadline, and the verdict on failures.
        metrics: counts verdicts and measures durations.
    """

    def __init__(self, client: Client, settings: AgiSettings, metrics: AgiMetrics) -> None:
        self._client = client
        self._settings = settings
        self._metrics = metrics
        self._turns = asyncio.Semaphore(_MAX_ASKED)

    async def decide(self, call: ChannelCall) -> Verdict | Answer:
        """Returns the verdict, or the server's answer if that is a challenge."""
        settled = self._unasked(call)
        if settled is not None:
            return settled
        try:
            answer = await self._asked(call)
        except Exception as error:  # noqa: BLE001 - every call needs a verdict
            return self._without_answer(call, error)
        if answer.decision is Decision.CHALLENGE:
            return answer
        permission = answer.permission.id if answer.permission else ""
        reason = _REASONS.get(answer.reason) or (Reason.NO_RULE if answer.stage is Stage.NONE else Reason.RULE)
        return Verdict(allowed=answer.allowed, reason=reason, permission=permission, decision_id=answer.decision_id)

    async def _asked(self, call: ChannelCall) -> Answer:
        """Returns the server's answer. The deadline runs from the request on, even if many calls come at once."""
        deadline = self._settings.deadline
        try:
            async with asyncio.timeout(deadline):
                await self._turns.acquire()
        except TimeoutError:
            raise errors.DeadlineExceeded(self._client.target, deadline) from None
        began = time.monotonic()
        try:
            return await self._client.check(
                extension=call.extension,
                caller=call.caller,
                outcall=call.outcall,
                tenant=call.named_tenant,
                forwarded_by=call.forwarded_by,
                timeout=deadline,
            )
        finally:
            self._turns.release()
            self._metrics.answered(time.monotonic() - began)

    def _unasked(self, call: ChannelCall) -> Verdict | None:
        """The verdict on a call that the server is not asked about."""
        if call.extension in self._settings.emergency:
            return Verdict(allowed=True, reason=Reason.EMERGENCY)
        if call.garbled:
            return Verdict(allowed=False, reason=Reason.INVALID)
        if call.unchecked:
            return Verdict(allowed=True, reason=Reason.NOT_CHECKED)
        return None

    def _without_answer(self, call: ChannelCall, error: Exception) -> Verdict:
        """The verdict on a call that the server has not decided."""
        if isinstance(error, errors.InvalidCall):
            # A rejected request is no failure: under --on-failure open, invalid numbers would get past the rules.
            verdict = Verdict(allowed=False, reason=Reason.INVALID)
            _log.warning("agi_call_rejected", **_described(call, verdict), error=str(error))
        elif isinstance(error, errors.UnknownTenant):
            verdict = Verdict(
                allowed=self._settings.unknown_tenant is UnknownTenant.ALLOW, reason=Reason.UNKNOWN_TENANT
            )
            _log.warning("agi_tenant_unknown", **_described(call, verdict), error=str(error))
        elif isinstance(error, errors.RightcallError):
            reason = Reason.CLOSED_TENANT if isinstance(error, errors.TenantClosed) else Reason.NO_ANSWER
            verdict = Verdict(allowed=self._on_failure(call), reason=reason)
            _log.warning("agi_no_answer", **_described(call, verdict), error=str(error))
        else:
            verdict = Verdict(allowed=self._on_failure(call), reason=Reason.NO_ANSWER)
            _log.error("agi_failed", **_described(call, verdict), exc_info=error)
        return verdict

    def _on_failure(self, call: ChannelCall) -> bool:
        """Whether a call that the server has not decided is allowed."""
        mode = self._settings.on_failure
        return mode is OnFailure.OPEN or (mode is OnFailure.INTERNAL and not call.outcall)


def _described(call: ChannelCall, verdict: Verdict) -> dict[str, str]:
    """The fields of a call in log lines, without the extension, which only the decision log holds."""
    return {
        "caller": call.caller,
        "outcall": call.outcall,
        "tenant": call.tenant,
        "forwarded_by": call.forwarded_by,
        "verdict": verdict.word,
    }
