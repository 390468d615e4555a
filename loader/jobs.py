"""Tenants compiled and proven beside each other: one that takes long holds no other back.

Few jobs run at once, small ones first. A job that turns out to take long leaves its place to the next one and goes on
among the slow ones, of which one runs at a time.
"""

from __future__ import annotations

import heapq
import queue
import threading
import time
from contextvars import copy_context
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextvars import Context

    from pdp.rules.model import Revision, Tenant

QUICK_SECONDS = 1.0
"""Processor time above which a job is a slow one."""
_LANES = 2
"""Jobs that run at once, beside a slow one."""


@dataclass(slots=True, kw_only=True)
class Job:
    """Work on a tenant.

    Attributes:
        tenant: the tenant.
        error: the error that ended the job.
        seconds: the duration.
    """

    tenant: Tenant
    error: BaseException | None = None
    seconds: float = 0.0


@dataclass(slots=True, kw_only=True)
class Compilation(Job):
    """A tenant to compile, and the result.

    Attributes:
        revision: the revision that the snapshot is to have.
        blob: the snapshot; empty until it is there.
    """

    revision: Revision
    blob: bytes = b""


J = TypeVar("J", bound=Job)


@dataclass(slots=True, order=True)
class _Entry(Generic[J]):
    """A job that waits: the smallest tenant comes first, and of equals the first one."""

    size: int
    number: int
    job: J = field(compare=False)
    context: Context = field(compare=False)


class _Turn:
    """The turn of one job.

    Args:
        leave: gives the job's place to the next one.
        slow: held by the slow job that runs.
    """

    def __init__(self, leave: Callable[[], None], slow: threading.Lock) -> None:
        self._leave = leave
        self._slow = slow
        self._until = time.thread_time() + QUICK_SECONDS
        self._is_slow = False

    def checkpoint(self) -> None:
        """Goes on among the slow jobs, if the job has taken long."""
        if not self._is_slow and time.thread_time() > self._until:
            self._is_slow = True
            self._leave()
            self._slow.acquire()

    def end(self) -> bool:
        """Ends the turn, and returns whether another thread has the place."""
        if self._is_slow:
            self._slow.release()
        return self._is_slow


class Jobs(Generic[J]):
    """Runs jobs, at most one of a tenant at a time. For use by one thread.

    Args:
        name: the start of the threads' names.
        work: does a job, and writes the result into it; calls the function that it is given every now and then.
    """

    def __init__(self, name: str, work: Callable[[J, Callable[[], None]], None]) -> None:
        self._name = name
        self._work_on = work
        self._lock = threading.Lock()
        self._slow = threading.Lock()
        self._entries: list[_Entry[J]] = []
        self._begun = 0
        self._numbers = count(1)
        self._lanes = 0
        self._threads: set[threading.Thread] = set()
        self.running: set[str] = set()
        """The tenants whose jobs are not done."""
        self._done: queue.SimpleQueue[J] = queue.SimpleQueue()

    def begin(self, job: J) -> None:
        """Begins a job of a tenant of which none is running."""
        self._begun += 1
        self.running.add(job.tenant.uuid)
        with self._lock:
            entry = _Entry(len(job.tenant.call_permissions), self._begun, job, copy_context())
            heapq.heappush(self._entries, entry)
            self._fill_lanes()

    def done(self, patience: float | None = None) -> Iterator[J]:
        """The jobs as they end, until none is left.

        Args:
            patience: seconds after which no further job is waited for; None: no limit.
        """
        until = None if patience is None else time.monotonic() + patience
        while self.running:
            try:
                job = self._done.get(timeout=None if until is None else max(0.0, until - time.monotonic()))
            except queue.Empty:
                return
            self.running.discard(job.tenant.uuid)
            yield job

    def _fill_lanes(self) -> None:
        """Starts threads for jobs that wait, as far as there are lanes; with the lock held."""
        for _ in range(min(_LANES - self._lanes, len(self._entries))):
            self._lanes += 1
            thread = threading.Thread(target=self._work, name=f"{self._name}-{next(self._numbers)}", daemon=True)
            self._threads.add(thread)
            thread.start()

    def threads(self) -> list[threading.Thread]:
        """The threads that are at work; any thread may ask."""
        with self._lock:
            return [thread for thread in self._threads if thread.is_alive()]

    def _work(self) -> None:
        """Does one job after the other, until none waits, or until another thread has the lane."""
        while (entry := self._next()) is not None:
            turn = _Turn(self._leave_lane, self._slow)
            entry.context.run(self._do, entry.job, turn)
            if turn.end():
                break
        with self._lock:
            self._threads.discard(threading.current_thread())

    def _next(self) -> _Entry[J] | None:
        with self._lock:
            if self._entries:
                return heapq.heappop(self._entries)
            self._lanes -= 1
            return None

    def _leave_lane(self) -> None:
        with self._lock:
            self._lanes -= 1
            self._fill_lanes()

    def _do(self, job: J, turn: _Turn) -> None:
        begun = time.perf_counter()
        try:
            self._work_on(job, turn.checkpoint)
        except BaseException as error:  # noqa: BLE001 - any error ends the cycle that takes the job
            job.error = error
        job.seconds = time.perf_counter() - begun
        self._done.put(job)
