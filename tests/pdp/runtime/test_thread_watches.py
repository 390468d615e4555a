"""Threads and event loops that stand still are noticed, and those that are slow are not."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from server import DEADLINE
from structlog.testing import capture_logs
from waiting import until

from pdp.runtime import watchdog
from pdp.runtime.watchdog import LoopWatch, ThreadWatch

if TYPE_CHECKING:
    from collections.abc import Callable

LOOKS = 5
"""Looks of a watch that a test waits for, to see that nothing is noticed."""


@pytest.fixture(autouse=True)
def in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks ten times as often."""
    monkeypatch.setattr(watchdog, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(watchdog, "STUCK_SECONDS", 0.4)


class Looked(ThreadWatch):
    """Counts its looks."""

    looks = 0

    def _look(self, now: float, late: float) -> dict[str, object] | None:
        found = super()._look(now, late)
        self.looks += 1
        return found


def test_a_thread_that_waits_for_too_long_is_noticed_and_so_is_its_going_on() -> None:
    """The log says at what it waits."""
    release = threading.Event()
    thread = threading.Thread(target=release.wait, name="held")
    thread.start()
    with capture_logs() as logs:
        watch = ThreadWatch("watch", lambda: [thread] if thread.is_alive() else [])
        watch.start()
        until(lambda: watch.stuck, "it is noticed")
        release.set()
        until(lambda: not watch.stuck, "it is over")
        watch.stop()
    thread.join(DEADLINE)
    said = {entry["event"]: entry for entry in logs}
    assert {"threads_stuck", "threads_recovered"} <= said.keys()
    assert "wait" in said["threads_stuck"]["threads"]["held"]


def computing(stop: threading.Event) -> None:
    """One long computation."""
    while not stop.is_set():
        hashlib.sha256(bytes(1 << 20))


def waiting_in_short_steps(stop: threading.Event) -> None:
    """As a watch of a source does."""
    while not stop.wait(0.05):
        pass


@pytest.mark.parametrize(
    ("work", "patience"), [(computing, 0.0), (waiting_in_short_steps, 0.0), (threading.Event.wait, 60.0)]
)
def test_a_slow_thread_is_not_stuck(work: Callable[[threading.Event], object], patience: float) -> None:
    """One that computes, that waits in short steps, or that waits for another machine no longer than it may."""
    stop = threading.Event()
    thread = threading.Thread(target=work, args=(stop,))
    thread.start()
    watch = Looked("watch", lambda: [thread], lambda: patience)
    watch.start()
    until(lambda: watch.looks > LOOKS * 2, "it has looked")
    assert not watch.stuck
    watch.stop()
    stop.set()
    thread.join(DEADLINE)


def test_of_several_threads_one_at_work_is_enough() -> None:
    """The others may wait for that one."""
    stop = threading.Event()
    threads = [threading.Thread(target=work, args=(stop,)) for work in (threading.Event.wait, computing)]
    for thread in threads:
        thread.start()
    watch = Looked("watch", lambda: threads)
    watch.start()
    until(lambda: watch.looks > LOOKS * 2, "it has looked")
    assert not watch.stuck
    watch.stop()
    stop.set()
    for thread in threads:
        thread.join(DEADLINE)


def test_a_loop_that_gets_round_to_nothing_is_noticed() -> None:
    """While one call of it blocks; an idle loop is not stuck."""
    loop, release = asyncio.new_event_loop(), threading.Event()
    thread = threading.Thread(target=loop.run_forever, name="looping")
    thread.start()
    watch = LoopWatch("watch", loop, thread, None)
    watch.start()
    threading.Event().wait(LOOKS * 2 * watchdog.LOOK_SECONDS)
    assert not watch.stuck
    loop.call_soon_threadsafe(release.wait)
    until(lambda: watch.stuck, "it is noticed")
    release.set()
    until(lambda: not watch.stuck, "it is over")
    watch.stop()
    loop.call_soon_threadsafe(loop.stop)
    thread.join(DEADLINE)
    loop.close()


def test_a_program_that_stays_stuck_ends() -> None:
    """With the exit code of a defect, and without waiting for the thread; the log says why."""
    program = """
import threading
from pdp.runtime import watchdog
watchdog.LOOK_SECONDS, watchdog.STUCK_SECONDS = 0.1, 0.2
thread = threading.Thread(target=threading.Event().wait)
thread.start()
watchdog.ThreadWatch("watch", lambda: [thread], end_after=0.3).start()
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=DEADLINE
    )
    assert ended.returncode == 70
    assert "ended_because_stuck" in ended.stdout + ended.stderr
