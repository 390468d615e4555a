"""Keeps worker processes: tells them of rules, adds up what they count, and replaces those that die."""

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
"""For all workers to listen."""
_LOOK_SECONDS = 0.2
_SHORT_LIFE = 5.0
"""A worker that lived for less is not replaced at once, or a machine would do nothing else than start them."""
_DELAYS = (0.2, 5.0)
"""Seconds before the second replacement in a row of those, and at most."""
_FIRST_SECONDS = 2.0
"""For workers to take the first rules, before it is said that there are any."""
_SILENT_SECONDS = 4.0
"""A worker that serves says so twice a second."""
_END_SECONDS = 5.0
"""For a worker to end once it was told to."""


@dataclass(eq=False, slots=True)
class _Worker:
    """A worker process."""

    process: subprocess.Popen[bytes]
    channel: Channel
    born: float
    old: Container[Shared]
    """Rules that nobody waits for it to have: those in force when it took a dead one's place."""
    state: str = "starting"
    """starting, told, listening, failed, refused"""
    problem: str = ""
    owing: int = 0
    """Snapshots that it was told of and does not have yet."""
    heard: float = 0.0
    """When it was last heard of; 0: it does not serve yet."""


class Supervisor:
    """Keeps so many workers alive.

    Args:
        count: how many.
        begin: what each is told first.
        snapshots: what they answer from.
        metrics: where what they count is added, and their deaths.
        recruits: where they come from.
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
        """Held while workers come and go, and while they are told something."""
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
        """Has the workers serve; returns when all of them listen.

        Raises:
            ListenError: one of them cannot.
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
        """Has each worker answer what has come and refuse what comes; returns when they do, or after so long."""
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
        """Takes another worker. It says when it has come up; until then what it is told would only pile up."""
        process, channel, born = self._recruits.take()
        self._workers.append(_Worker(process, channel, born, old))
        with contextlib.suppress(Gone):  # then it is found dead, and replaced
            channel.send("begin", self._begin)

    def _brief(self, worker: _Worker) -> None:
        """Tells a worker that has come up all rules, and to serve; not where it is too late for that."""
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
        """Hears what workers say, until the last one has ended and none is wanted."""
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
        """Ends workers that serve and have not been heard of for seconds; returns when that was looked at.

        Args:
            looked: when it was the last time. A supervisor that was kept waiting itself waits for them longer.
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
        """A worker's end of the socket is closed, so it has ended, or is about to."""
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
    """What a worker is told first.

    Args:
        settings: those of ``ServerSettings`` that are not about who may ask.
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
