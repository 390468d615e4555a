"""When what failed is tried again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Hashable

_FIRST: Final = 0.5
_MOST: Final = 30.0


class Retries:
    """The waits after failures, by job: half a second at first, then twice as long each time, 30 seconds at most."""

    def __init__(self) -> None:
        self._failures: dict[Hashable, tuple[int, float]] = {}
        """Consecutive failures and the time of the next attempt, by the monotonic clock."""

    def may(self, job: Hashable) -> bool:
        """Whether a job may be tried now."""
        return time.monotonic() >= self._failures.get(job, (0, 0.0))[1]

    def failed(self, job: Hashable) -> int:
        """Notes a failure; returns the number of consecutive ones."""
        times = self._failures.get(job, (0, 0.0))[0] + 1
        self._failures[job] = times, time.monotonic() + min(_FIRST * 2 ** (times - 1), _MOST)
        return times

    def succeeded(self, job: Hashable) -> None:
        """Forgets the failures of a job."""
        self._failures.pop(job, None)
