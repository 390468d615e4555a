"""A watchdog over the threads of a pool that decide: whether any thread gets round to a new call.

While none does, the liveness probe fails, by which an orchestrator restarts the server.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from pdp.runtime.watchdog import STUCK_SECONDS, Watch, stacks

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future, ThreadPoolExecutor


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
            return {"threads": stacks([one for one in threading.enumerate() if one.name.startswith(self._prefix)])}
        return None


def _nothing() -> None:
    """The task of a probe, which does nothing."""
