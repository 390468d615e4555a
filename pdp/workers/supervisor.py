"""Keeps worker processes: sends rules, adds up the workers' counters, and replaces workers that die."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from dataclasses import dataclass
from selectors import EVENT_READ, DefaultSelector
from typing import TYPE_CHECKING, Any

import structlog

from pdp.errors import ListenError
from pdp.metrics.counters import Tally
from pdp.workers.pipe import Gone

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from pdp.metrics.registry import Metrics
    from pdp.workers.pipe import Channel, Message
    from pdp.workers.processes import Recruits
    from pdp.workers.shared_snapshots import Shared, SharedSnapshots

_log = structlog.get_logger()

_START_SECONDS = 60.0
"""Seconds for all workers to listen."""
_LOOK_SECONDS = 0.2
_SHORT_LIFE = 5.0
"""Seconds of life below which a worker is not replaced at once, or a machine would do nothing but start workers."""
_DELAYS = (0.2, 5.0)
"""Seconds before the second replacement in a row of those, and at most."""
_FIRST_SECONDS = 2.0
"""Seconds for workers to take the first rules, before the server is ready."""
_SILENT_SECONDS = 4.0
"""A worker that serves says so twice a second."""
_END_SECONDS = 5.0
"""Seconds for a worker to end once told to."""


@dataclass(eq=False, slots=True)
class _Worker:
    """A worker process."""

    process: subprocess.Popen[bytes]
    channel: Channel
    born: float
    old: Container[Shared]
    """Rules in force when the worker replaced a dead one; no caller waits for those."""
    state: str = "starting"
    """starting, told, listening, failed, refused"""
    problem: str = ""
    owing: int = 0
    """Snapshots sent and not yet loaded."""
    heard: float = 0.0
    """Time of the last message; 0: the worker does not serve yet."""


class Supervisor:
    """Keeps a number of workers alive.

    Args:
        count: number of workers.
        begin: first message to each worker.
        snapshots: the snapshots that workers answer from.
        metrics: where the workers' counts and deaths are added.
        recruits: where workers come from.
    """

    def __init__(
        self,
        count: int,
        begin: Mapping[str, Any],
        snapshots: SharedSnapshots,
        metrics: Metrics,
        recruits: Recruits,
    ) -> None:
        self._count = count
        self._begin = begin
        self._snapshots = snapshots
        self._metrics = metrics
        self._recruits = recruits
        self._workers: list[_Worker] = []
        self._changed = threading.Condition(snapshots.sharing)
        """Held while workers come and go, and while messages are sent to workers."""
        self._delay = 0.0
        self._stopping = False
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        snapshots.listen(self._tell_change, self._tell_incomplete)

    @property
    def processes(self) -> list[int]:
        """The ids of the worker processes."""
        with self._changed:
            return [worker.process.pid for worker in self._workers]

    def start(self) -> None:
        """Makes the workers serve; returns when all workers listen.

        Raises:
            ListenError: a worker cannot listen.
        """
        with self._changed:
            for _ in range(self._count):
                self._enlist(())
        self._metrics.watch(lambda: self.processes)
        self._thread.start()
        try:
            self._await("listening", _START_SECONDS)
        except BaseException:
            self.close()
            raise

    def refuse(self, seconds: float) -> None:
        """Makes each worker answer the calls in flight and reject new ones; returns when all do, or after a timeout."""
        with self._changed:
            self._stopping = True
            self._tell(self._workers, "refuse")
        with contextlib.suppress(ListenError):
            self._await("refused", seconds)

    def close(self) -> None:
        """Ends the workers."""
        with self._changed:
            self._stopping = True
            self._tell(self._workers, "close")
            workers = list(self._workers)
        for worker in workers:
            try:
                worker.process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
        self._thread.join()

    def _enlist(self, old: Container[Shared]) -> None:
        """Adds a worker, which reports when it is up; messages sent before would only pile up."""
        process, channel, born = self._recruits.take()
        self._workers.append(_Worker(process, channel, born, old))
        with contextlib.suppress(Gone):  # then it is found dead, and replaced
            channel.send("begin", self._begin)

    def _brief(self, worker: _Worker) -> None:
        """Sends a worker that has come up all rules, and the command to serve; not while stopping."""
        with self._changed:
            if self._stopping:
                return
            worker.state = "told"
            if self._snapshots.incomplete:
                self._tell([worker], "incomplete", {"why": self._snapshots.incomplete})
            for shared in self._snapshots.shared():
                since = 0.0 if shared in worker.old else shared.since
                fields = {"tenant": shared.tenant, "origin": shared.origin, "since": since}
                self._tell_rules([worker], fields, shared.number)
            self._tell([worker], "serve")

    def _tell_change(self, tenant: str, shared: Shared | None) -> None:
        """A tenant's rules changed. ``sharing`` is held."""
        told = [worker for worker in self._workers if worker.state != "starting"]
        if shared is None:
            self._tell(told, "remove", {"tenant": tenant})
        else:
            fields = {"tenant": tenant, "origin": shared.origin, "since": shared.since}
            self._tell_rules(told, fields, shared.number)
            if not self._snapshots.ready:
                self._changed.wait_for(lambda: not any(worker.owing for worker in self._workers), _FIRST_SECONDS)

    def _tell_incomplete(self, why: str) -> None:
        """Tenants are missing, or none is any more. ``sharing`` is held."""
        self._tell([worker for worker in self._workers if worker.state != "starting"], "incomplete", {"why": why})

    def _tell_rules(self, workers: Iterable[_Worker], fields: Mapping[str, Any], file: int) -> None:
        for worker in workers:
            worker.owing += 1
            self._tell([worker], "replace", fields, file=file)

    def _tell(
        self, workers: Iterable[_Worker], kind: str, fields: Mapping[str, Any] | None = None, *, file: int = -1
    ) -> None:
        for worker in workers:
            try:
                worker.channel.send(kind, fields, file=file)
            except Gone:  # dead, or stuck: one that misses a change must not answer any more
                worker.process.kill()

    def _await(self, state: str, seconds: float) -> None:
        def settled() -> bool:
            return all(worker.state in (state, "failed") for worker in self._workers)

        with self._changed:
            if not self._changed.wait_for(settled, seconds):
                raise ListenError(str(self._begin["settings"]["listen"]), f"workers are not {state} after {seconds} s")
            for worker in self._workers:
                if worker.state == "failed":
                    raise ListenError(str(self._begin["settings"]["listen"]), worker.problem)

    def _watch(self) -> None:
        """Receives the workers' messages, until the last one has ended and none is wanted."""
        looked = time.monotonic()
        while not self._stopping or self._workers:
            with DefaultSelector() as selector:
                for worker in list(self._workers):
                    selector.register(worker.channel, EVENT_READ, worker)
                ready = [key.data for key, _ in selector.select(_LOOK_SECONDS)]
            for worker in ready:
                self._hear(worker)
            looked = self._end_silent(looked)
            self._replace_missing()

    def _end_silent(self, looked: float) -> float:
        """Ends serving workers that have sent nothing for seconds; returns the time of the check.

        Args:
            looked: time of the last check. A supervisor that was itself delayed allows workers more time.
        """
        now = time.monotonic()
        for worker in self._workers:
            if worker.heard:
                worker.heard += max(0.0, now - looked - 2 * _LOOK_SECONDS)
                if now - worker.heard > _SILENT_SECONDS and not self._stopping:
                    _log.error("worker_stuck", process=worker.process.pid, advice="it is ended, and replaced")
                    worker.process.kill()
                    worker.heard = 0.0
        return now

    def _hear(self, worker: _Worker) -> None:
        try:
            message = worker.channel.receive(_LOOK_SECONDS)
        except Gone:
            self._bury(worker)
            return
        if message is not None:
            self._take(worker, message)

    def _take(self, worker: _Worker, message: Message) -> None:
        kind, fields, _ = message
        if worker.heard or kind == "alive":
            worker.heard = time.monotonic()
        if kind == "counted":
            self._metrics.tallies.put(worker.process.pid, Tally.load(fields["tally"]))
        elif kind == "up":
            self._brief(worker)
        elif kind == "has":
            self._metrics.synced(fields["since"])
            with self._changed:
                worker.owing -= 1
                self._changed.notify_all()
        elif kind in ("listening", "refused", "failed"):
            with self._changed:
                worker.state, worker.problem = kind, fields.get("problem", "")
                self._changed.notify_all()

    def _bury(self, worker: _Worker) -> None:
        """Handles a worker whose end of the socket is closed: the worker has ended, or is about to."""
        try:
            code = worker.process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            worker.process.kill()
            code = worker.process.wait()
        worker.channel.close()
        self._metrics.tallies.retire(worker.process.pid)
        with self._changed:
            self._workers.remove(worker)
            self._changed.notify_all()
            if self._stopping:
                return
            lived = time.monotonic() - worker.born
            self._delay = 0.0 if lived >= _SHORT_LIFE else min(max(self._delay * 2, _DELAYS[0]), _DELAYS[1])
        self._metrics.worker_restarted()
        _log.error("worker_died", process=worker.process.pid, exit_code=code, lived=round(lived, 1))

    def _replace_missing(self) -> None:
        with self._changed:
            if self._stopping or len(self._workers) >= self._count:
                return
            delay = self._delay
        time.sleep(delay)
        with self._changed:
            if not self._stopping:
                self._enlist(frozenset(self._snapshots.shared()))
                _log.info("worker_started", process=self._workers[-1].process.pid)


def begin_message(
    settings: Mapping[str, Any], *, fallback: str, source: str, version: str, secrets: Sequence[bytes]
) -> dict[str, Any]:
    """The first message to a worker.

    Args:
        settings: the fields of ``ServerSettings`` without security.
        fallback: path of the socket where the supervisor answers all other methods.
        source: where the rules come from.
        version: the server's.
        secrets: the deployment's keys, for challenges.
    """
    return {
        "settings": dict(settings),
        "fallback": fallback,
        "source": source,
        "version": version,
        "secrets": [secret.hex() for secret in secrets],
    }
