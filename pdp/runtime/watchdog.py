"""Watchdogs over threads: stuck ones are noticed within five seconds, logged with their stacks, and reported.

A stuck thread cannot be ended. Metrics and probes report it, by which an orchestrator restarts the program; a program
that can do nothing else meanwhile ends by itself.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

_log = structlog.get_logger()

LOOK_SECONDS = 1.0
STUCK_SECONDS = 4.0
"""Seconds without a sign of life after which a thread is stuck."""
END_SECONDS: Final = 20.0
"""Seconds for which a program that does nothing but its stuck work goes on."""
_RUNNABLE = "R"
"""The state of a thread that has work, and gets the processor when there is room."""
_FRAMES = 8
"""Frames of each stack that are logged."""


class Watch:
    """Looks every second whether something is stuck, and logs when that changes.

    Args:
        name: the name of the thread that looks.
        end_after: seconds of being stuck after which the process ends, with exit code 70; None: it goes on.
    """

    def __init__(self, name: str, end_after: float | None = None) -> None:
        self.stuck = False
        """Whether something has been stuck for some seconds."""
        self._stopped = threading.Event()
        self._end_after = end_after
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begins to look."""
        self._thread.start()

    def stop(self) -> None:
        """Looks no more; from then on nothing is stuck."""
        self._stopped.set()
        self.stuck = False

    def _run(self) -> None:
        looked, stuck_for = time.monotonic(), 0.0
        while not self._stopped.wait(LOOK_SECONDS):
            now = time.monotonic()
            late = max(0.0, now - looked - 2 * LOOK_SECONDS)  # this thread was kept waiting as well: a busy machine
            stuck_for = stuck_for + now - looked - late if self.stuck else 0.0
            looked = now
            found = self._look(now, late)
            if found is not None and bool(found) != self.stuck and not self._stopped.is_set():
                self.stuck = bool(found)
                if found:
                    _log.error("threads_stuck", **found, advice="please report this; restart the program")
                else:
                    _log.info("threads_recovered")
            if self.stuck and self._end_after is not None and stuck_for >= self._end_after:
                _log.critical("ended_because_stuck", seconds=round(stuck_for), advice="let a supervisor start it again")
                os._exit(os.EX_SOFTWARE)  # an orderly end would wait for the stuck thread

    def _look(self, now: float, late: float) -> dict[str, object] | None:
        """What the log says of stuck threads; empty: there are none; None: nothing new is known.

        Args:
            now: the time, as of ``time.monotonic``.
            late: the seconds by which this look is late.
        """
        raise NotImplementedError


class ThreadWatch(Watch):
    """Notices threads of which none has used the processor for some seconds: all of them wait, for too long.

    A thread that computes for long, or would if it got the processor, is not stuck. Nor is one that waits in short
    steps, or for another machine, as long as ``patience`` allows. Where the system does not count a thread's processor
    time (only Linux does), nothing is noticed.

    Args:
        name: the name of the thread that looks.
        threads: gives the threads that should be at work; none: there is no work.
        patience: gives the seconds for which these may wait now, if more than ``STUCK_SECONDS``.
        end_after: as of ``Watch``.
    """

    def __init__(
        self,
        name: str,
        threads: Callable[[], Sequence[threading.Thread]],
        patience: Callable[[], float] = lambda: 0.0,
        end_after: float | None = None,
    ) -> None:
        super().__init__(name, end_after)
        self._threads = threads
        self._patience = patience
        self._used: list[tuple[int | None, str, str]] = []
        self._since = 0.0

    def _look(self, now: float, late: float) -> dict[str, object] | None:
        self._since += late
        threads = self._threads()
        used = [(thread.native_id, *_state(thread)) for thread in threads]
        waits = bool(used) and all(state not in ("", _RUNNABLE) for _, state, _ in used)
        if not waits or used != self._used:
            self._used, self._since = used, now
            return {}
        if not self.stuck and now - self._since >= max(STUCK_SECONDS, self._patience() + LOOK_SECONDS):
            return {"threads": stacks(threads)}
        return None


class LoopWatch(Watch):
    """Notices an event loop that gets round to nothing new for some seconds.

    Args:
        name: the name of the thread that looks.
        loop: the loop.
        thread: the thread that runs the loop.
        end_after: as of ``Watch``.
    """

    def __init__(
        self,
        name: str,
        loop: asyncio.AbstractEventLoop,
        thread: threading.Thread,
        end_after: float | None = END_SECONDS,
    ) -> None:
        super().__init__(name, end_after)
        self._loop = loop
        self._looping = thread
        self._turned = threading.Event()
        self._turned.set()
        self._since = 0.0

    def _look(self, now: float, late: float) -> dict[str, object] | None:
        self._since += late
        if self._turned.is_set():
            self._turned.clear()
            self._since = now
            try:
                self._loop.call_soon_threadsafe(self._turned.set)
            except RuntimeError:  # the loop has ended
                self.stop()
            return {}
        if now - self._since >= STUCK_SECONDS and not self.stuck:
            return {"threads": stacks([self._looping])}
        return None


def _state(thread: threading.Thread) -> tuple[str, str]:
    """The letter of a thread's state, and the processor time that it has used; both empty where they are unknown."""
    place = Path(f"/proc/self/task/{thread.native_id}")
    try:
        state = (place / "stat").read_text("utf-8", "replace").rpartition(") ")[2][0]
        return state, (place / "schedstat").read_text("ascii").split()[0]
    except (OSError, IndexError):
        return "", ""


def stacks(threads: Sequence[threading.Thread]) -> dict[str, str]:
    """The stack of each thread; places in the code alone, no values."""
    frames = sys._current_frames()  # noqa: SLF001 - documented, for this
    return {
        thread.name: " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(stack[-_FRAMES:]))
        for thread in threads
        if thread.ident in frames and (stack := traceback.extract_stack(frames[thread.ident]))
    }
