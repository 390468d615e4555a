"""The connection to the server: opened before the first call, and kept."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from pdp.runtime.http import Readiness
from rightcall.client.errors import RightcallError

if TYPE_CHECKING:
    from rightcall.agi.metrics import AgiMetrics
    from rightcall.aio import Client

_log = structlog.get_logger()

_INTERVAL_SECONDS: Final = 5.0
_TIMEOUT_SECONDS: Final = 3.0


class Link:
    """Checks the server's health every few seconds.

    So a connection exists before the first call, a connection dropped by a firewall is replaced before a call, and an
    unreachable server is noticed before a call.

    Args:
        target: the server's address.
        metrics: notes the result of each check.
    """

    def __init__(self, target: str, metrics: AgiMetrics) -> None:
        self._target = target
        self._metrics = metrics
        self._up: bool | None = None
        self._why = "not asked yet"

    def readiness(self) -> Readiness:
        """Whether calls can be decided now."""
        if self._up:
            return Readiness(ready=True, reason=f"ready: {self._target} answers")
        return Readiness(ready=False, reason=f"not ready: {self._target}: {self._why}")

    async def keep(self, client: Client) -> None:
        """Checks until cancelled."""
        while True:
            try:
                serving = await client.healthy(timeout=_TIMEOUT_SECONDS)
                self._note(up=serving, why="it has no rules yet, or is about to stop")
            except RightcallError as error:
                self._note(up=False, why=str(error))
            except Exception as error:  # noqa: BLE001 - a defect must not leave the connection alone for good
                self._note(up=False, why=repr(error))
            await asyncio.sleep(_INTERVAL_SECONDS)

    def _note(self, *, up: bool, why: str) -> None:
        self._why = why
        self._metrics.server_up(up=up)
        if up is not self._up:
            self._up = up
            if up:
                _log.info("agi_server_up", target=self._target)
            else:
                _log.warning("agi_server_down", target=self._target, error=why)
