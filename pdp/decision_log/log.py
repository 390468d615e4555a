"""The decision log: requests and decisions, one JSON object a decision, written by a separate thread.

A response never waits for the log. The deciding thread puts a few values into a queue; when the queue is full, because
the sink is slow or gone, the entry is dropped and counted. Passwords and the digits dialled in response to a challenge
are not among the values, and so cannot be written.
"""

from __future__ import annotations

import json
import random
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import structlog

from pdp.decision_log.ids import decision_id
from pdp.decision_log.masking import masked
from pdp.rules.model import MAX_CALLER_LENGTH, MAX_EXTENSION_LENGTH, MAX_OUTCALL_LENGTH, Call, Decision
from pdp.security.identity import ASKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pdp.metrics.registry import Metrics
    from pdp.rules.snapshot.snapshot import Snapshot
    from pdp.rules.snapshot.verdict import Outcome

_log = structlog.get_logger()

_LONGEST: Final = max(MAX_CALLER_LENGTH, MAX_EXTENSION_LENGTH, MAX_OUTCALL_LENGTH)
"""Characters of each text of a call that are logged."""
_BATCH: Final = 500
"""Entries that are written together."""
_POLL_SECONDS: Final = 0.2
"""Seconds within which a stop is noticed."""
_CLOSE_SECONDS: Final = 5.0
"""Seconds to write the entries in the queue, when the server stops."""


class Sink(Protocol):
    """A destination of lines."""

    name: str
    """The name for people; without credentials."""

    def write(self, lines: Sequence[str]) -> None:
        """Writes lines, given without line ends. Any error loses these lines and no others."""

    def close(self) -> None:
        """Closes the sink."""


class Recorder(Protocol):
    """A recorder of decisions."""

    def record(
        self,
        snapshot: Snapshot | None,
        call: Call,
        outcome: Outcome,
        seconds: float,
        challenge: str = "",
    ) -> None:
        """As ``DecisionLog.record``."""


@dataclass(frozen=True, kw_only=True)
class DecisionLogSettings:
    """The settings of the decision log.

    Attributes:
        samples: by decision, the share of entries that is logged, 0 to 1; a decision not named: all.
        mask: number of the extension's last characters that are hidden.
        queue: entries that may wait to be written.
        gather: seconds for which entries are gathered, so that many are written together.
    """

    samples: Mapping[Decision, float] = field(default_factory=dict)
    mask: int = 0
    queue: int = 10_000
    gather: float = 0.01


class _Entry(NamedTuple):
    """An entry from the deciding thread; all else is the writer's work."""

    at: float
    id: str
    client: str
    call: Call
    snapshot: Snapshot | None
    outcome: Outcome
    seconds: float
    challenge: str


class DecisionLog:
    """Writes decisions, once started, until it is stopped.

    Args:
        sink: destination of the entries.
        settings: the decisions and the members to log.
        metrics: where written and dropped entries are counted; None: a log that may lose entries, and counts none.
    """

    def __init__(self, sink: Sink, settings: DecisionLogSettings, metrics: Metrics | None) -> None:
        self._sink = sink
        self.settings = settings
        """The settings of the log."""
        self.logged = metrics.logged if metrics is not None else _count_nothing
        """Counts entries, by result."""
        self.samples = {decision: settings.samples.get(decision, 1.0) for decision in Decision}
        """By decision, the share of entries that is logged."""
        self._queue: SimpleQueue[_Entry] = SimpleQueue()
        self._stopping = threading.Event()
        self._failing = False
        self._writing = threading.Lock()
        self._followed: list[threading.Thread] = []
        self._watchers: list[Callable[[Sequence[str]], None]] = []
        self._thread = threading.Thread(target=self._run, name="decision-log", daemon=True)

    def record(
        self,
        snapshot: Snapshot | None,
        call: Call,
        outcome: Outcome,
        seconds: float,
        challenge: str = "",
    ) -> None:
        """Records the decision of a call. Never waits and never fails.

        Args:
            snapshot: the deciding rules; None: the call belongs to no tenant.
            call: the call of the request, or of the challenge that a password answers.
            outcome: the outcome.
            seconds: time taken.
            challenge: the result of the password, if there was one.
        """
        name = decision_id()  # even where it is not logged: those of a batch have its position
        share = self.samples[outcome.verdict.decision]
        if share < 1 and random.random() >= share:  # noqa: S311 - which ones are logged is no secret
            return
        if self._queue.qsize() >= self.settings.queue:
            self.logged("dropped", 1)
            return
        client = ASKING.get()
        who = client.name if client is not None else ""
        self._queue.put(_Entry(time.time(), name, who, _shortened(call), snapshot, outcome, seconds, challenge))

    def follow(self, source: Callable[[float], tuple[bytes, int]]) -> None:
        """Writes entries recorded outside of Python as well, with the same settings.

        Args:
            source: waits up to a number of seconds for lines; returns the lines with line ends, and their number.
        """
        name = f"decision-log-{len(self._followed) + 1}"
        self._followed.append(threading.Thread(target=self._run_source, args=(source,), name=name, daemon=True))

    def watch(self, watcher: Callable[[Sequence[str]], None]) -> None:
        """Shows all lines to a function as well, which must neither wait nor fail; to be called before the start."""
        self._watchers.append(watcher)

    def start(self) -> None:
        """Starts writing; entries recorded before are in the queue."""
        for thread in (self._thread, *self._followed):
            thread.start()

    def stop(self) -> None:
        """Writes the entries in the queue, for a few seconds at most, and ends."""
        self._stopping.set()
        threads, deadline = (self._thread, *self._followed), time.monotonic() + _CLOSE_SECONDS
        for thread in threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))
        if any(thread.is_alive() for thread in threads):
            _log.error("decision_log_abandoned", sink=self._sink.name, entries=self._queue.qsize())
            return
        try:
            self._sink.close()
        except Exception as error:  # noqa: BLE001 - a full disk, say; the server stops in order all the same
            _log.error("decision_log_failing", sink=self._sink.name, error=str(error))

    def _run(self) -> None:
        while batch := self._take():
            self._write(batch)
            self._stopping.wait(self.settings.gather)

    def _take(self) -> list[_Entry]:
        """The next entries; none when the log shall end and there are none left."""
        batch: list[_Entry] = []
        while not batch:
            try:
                batch.append(self._queue.get(timeout=_POLL_SECONDS))
                while len(batch) < _BATCH:
                    batch.append(self._queue.get_nowait())
            except Empty:
                if not batch and self._stopping.is_set():
                    break
        return batch

    def _run_source(self, source: Callable[[float], tuple[bytes, int]]) -> None:
        while True:
            last = self._stopping.is_set()
            text, count = source(_POLL_SECONDS)
            if count:
                self._write_lines(text.decode().split("\n")[:count])
                self._stopping.wait(self.settings.gather)
            elif last:
                return

    def _write(self, batch: list[_Entry]) -> None:
        self._write_lines([json.dumps(document(entry, self.settings.mask)) for entry in batch])

    def _write_lines(self, lines: list[str]) -> None:
        with self._writing:
            self._put(lines)

    def _put(self, batch: list[str]) -> None:
        for watcher in self._watchers:
            watcher(batch)
        try:
            self._sink.write(batch)
        except Exception as error:  # noqa: BLE001 - a log that cannot be written must not end the writing
            self.logged("failed", len(batch))
            if not self._failing:  # once, not for each batch: it may fail for hours
                _log.error("decision_log_failing", sink=self._sink.name, error=str(error), advice="entries are lost")
            self._failing = True
            return
        self.logged("written", len(batch))
        if self._failing:
            self._failing = False
            _log.info("decision_log_recovered", sink=self._sink.name)


def _count_nothing(_result: str, _count: int) -> None:
    """Counts no entries."""


def document(entry: _Entry, mask: int) -> dict[str, Any]:
    """An entry as written; docs/decision-log.md describes each member."""
    call, snapshot, outcome = entry.call, entry.snapshot, entry.outcome
    decision, stage, permission, name = outcome.verdict
    written = {
        "time": datetime.fromtimestamp(entry.at, UTC).isoformat(timespec="milliseconds"),
        "decision_id": entry.id,
        "client": entry.client,
        "tenant": snapshot.tenant if snapshot is not None else "",
        "caller": call.caller,
        "extension": masked(call.extension, mask),
        "outcall": call.outcall,
        "forwarded_by": call.forwarded_by,
        "caller_known": outcome.caller_known,
        "outcall_known": outcome.outcall_known,
        "decision": decision.name,
        "stage": stage.name,
        "reason": outcome.reason.name,
        "permission": None if permission is None else {"id": str(permission), "name": name},
        "revision": str(snapshot.revision) if snapshot is not None else "",
        "latency_us": round(entry.seconds * 1e6),
    }
    if entry.challenge:
        written["challenge"] = entry.challenge
    return written


def _shortened(call: Call) -> Call:
    """A call with long texts cut: emergency calls are decided with texts of any length, and many may wait."""
    if all(len(text) <= _LONGEST for text in call):
        return call
    return Call(*(text[:_LONGEST] for text in call))
