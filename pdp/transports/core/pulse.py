"""A watchdog over the core's threads, each of which gives a sign of life every half second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.runtime.watchdog import STUCK_SECONDS, Watch

if TYPE_CHECKING:
    from collections.abc import Callable


class Pulse(Watch):
    """Notices threads of the core that give no sign of life for some seconds.

    The log, the metric of stuck threads and ``/healthz`` tell of it.

    Args:
        beats: returns how often each thread has given one.
    """

    def __init__(self, beats: Callable[[], list[int]]) -> None:
        super().__init__("core-pulse")
        self._beats = beats
        self._known: dict[int, tuple[int, float]] = {}
        """By thread, the last number of signs and when it was new."""

    def _look(self, now: float, late: float) -> dict[str, object]:
        for thread, count in enumerate(self._beats()):
            before, since = self._known.get(thread, (-1, now))
            self._known[thread] = (count, now) if count != before else (count, since + late)
        stuck = [thread for thread, (_, since) in self._known.items() if now - since >= STUCK_SECONDS]
        return {"core": stuck} if stuck else {}
