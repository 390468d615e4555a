"""The script ``shadow``: compares the server's decision with the dialplan's, and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from rightcall.agi.call import CallVariables
from rightcall.agi.decisions import Decisions
from rightcall.agi.reasons import Reason, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from rightcall.agi.channel import Channel
    from rightcall.agi.metrics import AgiMetrics
    from rightcall.agi.settings import AgiSettings
    from rightcall.aio import Client
    from rightcall.client.values import Answer

_log = structlog.get_logger()

_UNANSWERED = frozenset({Reason.NO_ANSWER, Reason.CLOSED_TENANT, Reason.UNKNOWN_TENANT})


class Shadow:
    """Compares the server's decisions with the dialplan's.

    Args:
        client: the client of the server.
        settings: the server's deadline.
        metrics: counts the comparisons.
    """

    def __init__(self, client: Client, settings: AgiSettings, metrics: AgiMetrics) -> None:
        self._metrics = metrics
        self._decisions = Decisions(client, settings, metrics)
        self._variables = CallVariables(settings.variable_prefix)
        prefix = settings.variable_prefix
        # Whether there is a password, and not which one.
        self._expressions = (f"${{{prefix}AUTHORIZATION}}", f'$["${{{prefix}PASSWORD}}" != ""]')

    async def run(self, channel: Channel, patient: Callable[[], None]) -> None:
        """Reads the channel and lets the call go on; then asks the server, and compares.

        Raises:
            AgiError: the channel is gone, or sends unexpected lines.
        """
        patient()
        read = await channel.exchange({}, (*self._expressions, *self._variables.expressions))
        channel.close()
        authorization, challenged, *values = read
        dialplan = _word(authorization, challenged=challenged == "1")
        call = self._variables.call(values)
        found = await self._decisions.decide(call)
        server, permission = _answered(found)
        self._metrics.shadowed(dialplan, server)
        if server != dialplan:
            _log.warning(
                "agi_shadow_differs",
                dialplan=dialplan,
                server=server,
                permission=permission,
                caller=call.caller,
                outcall=call.outcall,
                tenant=call.tenant,
                extension=call.extension,
            )


def _word(authorization: str, *, challenged: bool) -> str:
    """The dialplan's decision: a denial with a password is a challenge."""
    if authorization not in {"ALLOW", "DENY"}:
        return "none"
    if authorization == "DENY" and challenged:
        return "challenge"
    return authorization.lower()


def _answered(found: Verdict | Answer) -> tuple[str, str]:
    """The server's decision, and the permission that decided."""
    if not isinstance(found, Verdict):
        return "challenge", found.permission.id if found.permission else ""
    return "none" if found.reason in _UNANSWERED else found.word.lower(), found.permission
