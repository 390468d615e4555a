"""The effort that a server makes for one report: an explanation, or a list of callers or extensions.

A report ends when its client has gone, and when it has taken too much processor time. That time counts as requests, at
the client's rate.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, TypeVar

from pdp.errors import TooMuchWork
from pdp.rules.effort import CHECKPOINT

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

REPORT_SECONDS: Final = 10.0
"""Processor time of one report."""
_SECONDS_A_REQUEST: Final = 0.001
"""Processor time that counts as a further request."""
_CHECKPOINTS: Final = 64
"""Checkpoints of which one looks at the time."""


class ClientGone(Exception):
    """No client waits for the report any more."""


class Efforts:
    """Bounds the work for reports.

    Args:
        charge: charges a client for further requests; None: no limits.
        seconds: processor time of one report.
    """

    def __init__(self, charge: Callable[[int], None] | None, seconds: float = REPORT_SECONDS) -> None:
        self._charge = charge
        self._seconds = seconds

    def run(self, work: Callable[[], T], is_active: Callable[[], bool]) -> T:
        """Does the work for a report, in the current thread.

        Args:
            work: makes the report.
            is_active: whether a client waits.

        Raises:
            ClientGone: no client waits any more.
            TooMuchWork: the work took too long.
        """
        begun, count = time.thread_time(), 0

        def check() -> None:
            nonlocal count
            count += 1
            if count % _CHECKPOINTS == 0:
                if time.thread_time() - begun > self._seconds:
                    raise TooMuchWork(self._seconds)
                if not is_active():
                    raise ClientGone

        token = CHECKPOINT.set(check)
        try:
            return work()
        finally:
            CHECKPOINT.reset(token)
            if self._charge is not None:
                self._charge(int((time.thread_time() - begun) / _SECONDS_A_REQUEST))
