"""A watchdog over the threads that decide: whether any thread gets round to a new call.

A stuck thread cannot be ended. So the watchdog reports: in the log, with each thread's stack, in a metric, and to the
liveness probe, by which an orchestrator restarts the server.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future, ThreadPoolExecutor

_log = structlog.get_logger()

LOOK_SECONDS = 1.0
STUCK_SECONDS = 4.0
"""A call that has waited for so long for a thread, while none finished one, waits for threads that are stuck."""
_FRAMES = 8
"""Frames of each stack that are logged."""


class Watch:
    """Looks every second whether something is stuck, and tells when that changes.

    Args:
        name: the name of the thread that looks.
    """

    def __init__(self, name: str) -> None:
        self.stuck = False
        """Whether something has been stuck for some seconds."""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begins to look."""
        self._thread.start()

    def stop(self) -> None:
        """Looks no more; from then on nothing is stuck."""
        self._stopped.set()
        self.stuck = False

    def _run(self) -> None:
        looked = time.monotonic()
        while not self._stopped.wait(LOOK_SECONDS):
            now = time.monotonic()
            late = max(0.0, now - looked - 2 * LOOK_SECONDS)  # this thread was kept waiting as well: a busy machine
            looked = now
            found = self._look(now, late)
            if found is not None and bool(found) != self.stuck and not self._stopped.is_set():
                self.stuck = bool(found)
                if found:
                    _log.error("threads_stuck", **found, advice="please report this; restart the server")
                else:
                    _log.info("threads_recovered")

    def _look(self, now: float, late: float) -> dict[str, object] | None:
        """What the log says of stuck threads; empty: there are none; None: nothing new is known.

        Args:
            now: the time, as of ``time.monotonic``.
            late: the seconds by which this look is late.
        """
        raise NotImplementedError


class Watchdog(Watch):
    """Gives a pool something to do every second, and notices where that is not done.

    Args:
        pool: the threads.
        prefix: prefix of the threads' names.
        excused: whether every thread waits for a client's message. Such waits have an end of their own, and clients
            must not be able to make a server look stuck.
    """

    def __init__(self, pool: ThreadPoolExecutor, prefix: str, excused: Callable[[], bool] = lambda: False) -> None:
        super().__init__("watchdog")
        self._pool = pool
        self._prefix = prefix
        self._excused = excused
        self._asked: Future[None] | None = None
        self._since = 0.0

    def _look(self, now: float, late: float) -> dict[str, object] | None:
        self._since += late
        if self._asked is None or self._asked.done():
            try:
                self._asked, self._since = self._pool.submit(_nothing), now
            except RuntimeError:  # the server has stopped
                self.stop()
            return {}
        if self._excused():
            self._since = now
        elif now - self._since >= STUCK_SECONDS and not self.stuck:
            return {"threads": self._stacks()}
        return None

    def _stacks(self) -> dict[str, str]:
        """The stack of each thread of the pool; places in the code alone, no values."""
        frames = sys._current_frames()  # noqa: SLF001 - documented, for this
        names = {one.ident: one.name for one in threading.enumerate() if one.name.startswith(self._prefix)}
        return {
            name: " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(stack[-_FRAMES:]))
            for ident, name in names.items()
            if ident in frames and (stack := traceback.extract_stack(frames[ident]))
        }


def _nothing() -> None:
    """The task of a probe, which does nothing."""
