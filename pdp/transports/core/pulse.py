"""A watchdog over the core's threads, each of which gives a sign of life every half second."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import structlog

from pdp.transports.watchdog import LOOK_SECONDS, STUCK_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

_log = structlog.get_logger()


class Pulse:
    """Notices threads of the core that give no sign of life for some seconds.

    The log, the metric of stuck threads and ``/healthz`` tell of it.

    Args:
        beats: returns how often each thread has given one.
    """

    def __init__(self, beats: Callable[[], list[int]]) -> None:
        self.stuck = False
        """Whether any thread is stuck."""
        self._beats = beats
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="core-pulse", daemon=True)

    def start(self) -> None:
        """Begins to look."""
        self._thread.start()

    def stop(self) -> None:
        """Looks no more; from then on nothing is stuck."""
        self._stopped.set()
        self.stuck = False

    def _run(self) -> None:
        known: dict[int, tuple[int, float]] = {}
        looked = time.monotonic()
        while not self._stopped.wait(LOOK_SECONDS):
            now = time.monotonic()
            late = max(0.0, now - looked - 2 * LOOK_SECONDS)  # this thread was kept waiting as well: a busy machine
            looked = now
            for thread, count in enumerate(self._beats()):
                before, since = known.get(thread, (-1, now))
                known[thread] = (count, now) if count != before else (count, since + late)
            self._tell([thread for thread, (_, since) in known.items() if now - since >= STUCK_SECONDS])

    def _tell(self, stuck: list[int]) -> None:
        if bool(stuck) == self.stuck or self._stopped.is_set():
            return
        self.stuck = bool(stuck)
        if stuck:
            _log.error("threads_stuck", core=stuck, advice="please report this; restart the server")
        else:
            _log.info("threads_recovered")
