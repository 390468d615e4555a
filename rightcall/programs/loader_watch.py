"""A watchdog over a loader's threads: the one that runs the cycles, and those that compile."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pdp.runtime.watchdog import END_SECONDS, ThreadWatch

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from loader.cycle import Synchronizer


class LoaderWatch:
    """Notices within five seconds that cycles, or all that is being compiled, stand still.

    What waits for an answer of the source or of Redis is slow, until its own timeout, and what computes is at work. A
    loader that is stuck gives up the lead, is not alive, and ends after ``end_after`` seconds.

    Args:
        synchronizer: runs the cycles.
        end_after: seconds of being stuck after which the process ends; None: it goes on.
    """

    def __init__(self, synchronizer: Synchronizer, end_after: float | None = END_SECONDS) -> None:
        self._cycle: list[threading.Thread] = []
        self._watches = (
            ThreadWatch("loader-watch", lambda: self._cycle, lambda: synchronizer.waiting.patience, end_after),
            ThreadWatch("compile-watch", synchronizer.working, end_after=end_after),
        )

    @property
    def stuck(self) -> bool:
        """Whether something has stood still for some seconds."""
        return any(watch.stuck for watch in self._watches)

    @contextmanager
    def over(self, thread: threading.Thread) -> Iterator[None]:
        """Watches over the thread of the cycles, which runs, within the block."""
        self._cycle.append(thread)
        for watch in self._watches:
            watch.start()
        try:
            yield
        finally:
            for watch in self._watches:
                watch.stop()
