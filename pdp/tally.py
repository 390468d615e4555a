"""Counting without locks: each thread counts for itself, and who wants the sum adds up.

A labelled Prometheus counter costs a lock and a microsecond for each call; a list that one thread alone writes to costs
neither. Other processes hand over what they counted, and are added up the same way.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from pdp.rules.model import Decision, Stage

BUCKETS = (25e-6, 50e-6, 75e-6, 100e-6, 150e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3)
"""Upper bounds of the latency histogram, in seconds."""

_OUTCOMES = 32


def outcome(decision: Decision, stage: Stage) -> int:
    """Where ``Tally.decisions`` counts a decision of a stage."""
    return decision << 3 | stage


class Tally:
    """What was counted. One thread writes to it; whoever reads it may miss its last call.

    Attributes:
        decisions: how often each ``outcome`` was decided.
        buckets: decisions by duration: as many as BUCKETS has bounds, and one for those that took longer.
        seconds: that all decisions took together.
        requests: how many requests were answered, by method and code.
        rejections: how many calls were refused because there were too many, by reason.
    """

    __slots__ = ("buckets", "decisions", "rejections", "requests", "seconds")

    def __init__(self) -> None:
        self.decisions = [0] * _OUTCOMES
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0
        self.requests: dict[tuple[str, str], int] = {}
        self.rejections: dict[str, int] = {}

    def decided(self, decision: Decision, stage: Stage, seconds: float) -> None:
        """A call was decided, and that took so long."""
        self.decisions[decision << 3 | stage] += 1
        self.buckets[bisect_left(BUCKETS, seconds)] += 1
        self.seconds += seconds

    def requested(self, method: str, code: str, count: int = 1) -> None:
        """Requests were answered."""
        key = method, code
        self.requests[key] = self.requests.get(key, 0) + count

    def rejected(self, reason: str, count: int = 1) -> None:
        """Calls were refused because there were too many."""
        self.rejections[reason] = self.rejections.get(reason, 0) + count

    def add(self, other: Tally) -> None:
        """Adds what another one counted."""
        self.decisions = [mine + theirs for mine, theirs in zip(self.decisions, other.decisions, strict=True)]
        self.buckets = [mine + theirs for mine, theirs in zip(self.buckets, other.buckets, strict=True)]
        self.seconds += other.seconds
        for (method, code), count in list(other.requests.items()):  # its thread may be adding a key
            self.requested(method, code, count)
        for reason, count in list(other.rejections.items()):
            self.rejected(reason, count)

    def dump(self) -> dict[str, Any]:
        """For another process: what JSON can hold."""
        requests = [[method, code, count] for (method, code), count in list(self.requests.items())]
        return {
            "decisions": self.decisions,
            "buckets": self.buckets,
            "seconds": self.seconds,
            "requests": requests,
            "rejections": self.rejections,
        }

    @classmethod
    def load(cls, dumped: Mapping[str, Any]) -> Tally:
        """What another process dumped."""
        tally = cls()
        tally.decisions, tally.buckets, tally.seconds = dumped["decisions"], dumped["buckets"], dumped["seconds"]
        tally.requests = {(method, code): count for method, code, count in dumped["requests"]}
        tally.rejections = dict(dumped["rejections"])
        return tally


class Tallies:
    """The tallies of all threads, and of other processes."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._threads: dict[threading.Thread, Tally] = {}
        self._others: dict[Hashable, Tally] = {}
        self._retired = Tally()
        self._guard = threading.Lock()

    def mine(self) -> Tally:
        """The calling thread's; nobody else may write to it."""
        try:
            tally: Tally = self._local.tally
        except AttributeError:
            tally = self._local.tally = Tally()
            with self._guard:
                self._threads[threading.current_thread()] = tally
        return tally

    def put(self, whose: Hashable, tally: Tally) -> None:
        """Takes over what another process has counted since it began, in place of what it told before."""
        with self._guard:
            self._others[whose] = tally

    def retire(self, whose: Hashable) -> None:
        """Another process ended: its last figures stay in the sum."""
        with self._guard:
            if (tally := self._others.pop(whose, None)) is not None:
                self._retired.add(tally)

    def total(self) -> Tally:
        """Everything together."""
        with self._guard:
            for thread in [thread for thread in self._threads if not thread.is_alive()]:
                self._retired.add(self._threads.pop(thread))
            total = Tally()
            for tally in (self._retired, *self._threads.values(), *self._others.values()):
                total.add(tally)
            return total
