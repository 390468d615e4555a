"""Threads that make requests while the loader goes on: few, so that a stack sees few connections."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

_NO_MORE: Final = None


@dataclass(frozen=True, slots=True)
class Done:
    """A finished job.

    Attributes:
        key: the key that identifies the job.
        value: the returned value; None after a failure.
        error: the raised exception; None after a success.
    """

    key: Hashable
    value: Any
    error: Exception | None


class Crew:
    """Runs jobs in parallel. One thread submits jobs and takes the results.

    The threads are daemons: one that waits for a response does not keep the process from ending.

    Args:
        size: maximum number of threads, started on demand.
        tell: called in a thread of the crew after each job.
    """

    def __init__(self, size: int, tell: Callable[[], None]) -> None:
        self._size = size
        self._tell = tell
        self._jobs: queue.SimpleQueue[tuple[Hashable, Callable[[], Any]] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self._threads = 0
        self.busy: set[Hashable] = set()
        """The keys of the jobs that were given and not taken back yet."""

    def give(self, key: Hashable, job: Callable[[], Any]) -> None:
        """Runs a job as soon as a thread is free; ``key`` identifies the job."""
        self.busy.add(key)
        self._jobs.put((key, job))
        if self._threads < min(self._size, len(self.busy)):
            self._threads += 1
            work = threading.Thread(target=self._work, args=(self._jobs,), name="wazo-reader", daemon=True)
            work.start()

    def take(self, seconds: float) -> Done | None:
        """The next finished job; None if none ends within this time."""
        try:
            done = self._done.get(timeout=seconds) if seconds > 0 else self._done.get_nowait()
        except queue.Empty:
            return None
        self.busy.discard(done.key)
        return done

    @property
    def has_done(self) -> bool:
        """Whether something can be taken at once."""
        return not self._done.empty()

    def dismiss(self) -> None:
        """Ends the threads, each after the current job. The crew can be used again."""
        jobs, self._jobs, self._done = self._jobs, queue.SimpleQueue(), queue.SimpleQueue()
        self.busy.clear()
        for _ in range(self._threads):
            jobs.put(_NO_MORE)
        self._threads = 0

    def __enter__(self) -> Self:
        """The crew itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Dismisses the threads."""
        self.dismiss()

    def _work(self, jobs: queue.SimpleQueue[tuple[Hashable, Callable[[], Any]] | None]) -> None:
        done = self._done
        while (given := jobs.get()) is not _NO_MORE:
            key, job = given
            try:
                done.put(Done(key, job(), None))
            except Exception as error:  # noqa: BLE001 - reported with the job
                done.put(Done(key, None, error))
            self._tell()
