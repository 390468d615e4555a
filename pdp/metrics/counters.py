"""Counting without locks: each thread has separate counters, which a scrape adds up.

A labelled Prometheus counter costs a lock and a microsecond for each call; a list that one thread alone writes to costs
neither. The core's counters are added up the same way.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from pdp.rules.model import Decision, Stage
    from pdp.rules.snapshot.verdict import Verdict

BUCKETS = (
    *(25e-6, 50e-6, 75e-6, 100e-6, 150e-6, 250e-6, 500e-6),
    *(1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 1.0, 5.0),
)
"""Upper bounds of the latency histograms, in seconds: from a decision to a search of a large directory."""

MAX_REFUSALS = 100
"""Largest number of permissions with separate counts. Bounds the size of a scrape."""

MAX_NAME_LENGTH = 40
"""Largest length of a permission's name in a label."""

CHECK_CALL, CHECK_CALLS = "CheckCall", "CheckCalls"

_OUTCOMES = 32


def outcome(decision: Decision, stage: Stage) -> int:
    """The index in ``ThreadCounters.decisions`` of a decision in a stage."""
    return decision << 3 | stage


class Refusal(NamedTuple):
    """A permission that denied or challenged a call. All but the decision is empty for permissions counted together.

    Attributes:
        tenant: the permission's tenant.
        permission: the permission's id.
        name: the permission's name, or the beginning.
        decision: ``deny`` or ``challenge``.
    """

    tenant: str
    permission: str
    name: str
    decision: str

    @classmethod
    def of(cls, tenant: str, verdict: Verdict) -> Refusal:
        """The permission that decided so."""
        name = verdict.permission_name[:MAX_NAME_LENGTH]
        return cls(tenant, str(verdict.permission_id), name, verdict.decision.name.lower())


_TOGETHER = {decision: Refusal("", "", "", decision) for decision in ("deny", "challenge")}
"""The entry for permissions counted together."""


class Durations:
    """Durations, counted in buckets.

    Attributes:
        buckets: counts by duration: one for each bound in BUCKETS, and one for longer times.
        seconds: all together.
    """

    __slots__ = ("buckets", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0

    def took(self, seconds: float, count: int = 1) -> None:
        """Adds a number of equal durations."""
        self.buckets[bisect_left(BUCKETS, seconds)] += count
        self.seconds += seconds * count

    def add(self, other: Durations) -> None:
        """Adds another one's counts."""
        self.buckets = [mine + theirs for mine, theirs in zip(self.buckets, other.buckets, strict=True)]
        self.seconds += other.seconds

    @classmethod
    def of(cls, buckets: list[int], seconds: float) -> Durations:
        """Durations that were counted elsewhere."""
        durations = cls()
        durations.buckets, durations.seconds = buckets, seconds
        return durations


class ThreadCounters:
    """The counts of one thread, the only writer; a reader may miss the last call.

    Args:
        admit: chooses the permission that a denial is counted for; None: the same.

    Attributes:
        decisions: number of decisions, by ``outcome``.
        deciding: time of the decisions that are not ``plain``.
        plain: time of plain calls, each both a decision and an answered CheckCall.
        requests: number of requests answered, by method and code, plain calls aside.
        answering: time of requests, by method, plain calls aside.
        rejections: number of calls rejected because of limits, by reason.
        refusals: number of calls denied or challenged, by permission.
        handed: number of requests that the core handed to Python, by method.
        strangers: number of calls with an unknown caller or outcall, by which of the two.
        shadow: number of decisions that were compared, by tenant, decision and that of the tenant's candidate.
    """

    __slots__ = (
        "_admit",
        "answering",
        "deciding",
        "decisions",
        "handed",
        "plain",
        "refusals",
        "rejections",
        "requests",
        "shadow",
        "strangers",
    )

    def __init__(self, admit: Callable[[Refusal], Refusal] | None = None) -> None:
        self._admit = admit
        self.decisions = [0] * _OUTCOMES
        self.deciding = Durations()
        self.plain = Durations()
        self.requests: dict[tuple[str, str], int] = {}
        self.answering: dict[str, Durations] = {}
        self.rejections: dict[str, int] = {}
        self.refusals: dict[Refusal, int] = {}
        self.handed: dict[str, int] = {}
        self.strangers: dict[str, int] = {}
        self.shadow: dict[tuple[str, str, str], int] = {}

    def decided(self, decision: Decision, stage: Stage, seconds: float) -> None:
        """A call was decided, and that took so long."""
        self.decisions[decision << 3 | stage] += 1
        self.deciding.took(seconds)

    def requested(self, method: str, code: str, count: int = 1) -> None:
        """Requests were answered."""
        key = method, code
        self.requests[key] = self.requests.get(key, 0) + count

    def answered(self, method: str, seconds: float) -> None:
        """A request was worked on for so long."""
        durations = self.answering.get(method)
        if durations is None:
            durations = self.answering[method] = Durations()
        durations.took(seconds)

    def served(self, method: str, seconds: float) -> None:
        """A request was answered, after so long."""
        self.requested(method, "OK")
        self.answered(method, seconds)

    def rejected(self, reason: str, count: int = 1) -> None:
        """Counts calls rejected because of limits."""
        self.rejections[reason] = self.rejections.get(reason, 0) + count

    def refused(self, refusal: Refusal, count: int = 1) -> None:
        """Calls were denied or challenged by a permission."""
        refusals = self.refusals
        if refusal not in refusals and self._admit is not None:
            refusal = self._admit(refusal)
        refusals[refusal] = refusals.get(refusal, 0) + count

    def unknown(self, part: str, count: int = 1) -> None:
        """Calls had a ``caller`` or an ``outcall`` that is not known."""
        self.strangers[part] = self.strangers.get(part, 0) + count

    def compared(self, tenant: str, decision: str, candidate: str, count: int = 1) -> None:
        """Decisions on calls of a tenant were compared with those of the tenant's candidate."""
        key = tenant, decision, candidate
        self.shadow[key] = self.shadow.get(key, 0) + count

    def add(self, other: ThreadCounters) -> None:
        """Adds the counts of another thread, which may be adding keys meanwhile: keys are copied first."""
        self.decisions = [mine + theirs for mine, theirs in zip(self.decisions, other.decisions, strict=True)]
        self.deciding.add(other.deciding)
        self.plain.add(other.plain)
        for (method, code), count in list(other.requests.items()):
            self.requested(method, code, count)
        for method, durations in list(other.answering.items()):
            self.answering.setdefault(method, Durations()).add(durations)
        for reason, count in list(other.rejections.items()):
            self.rejected(reason, count)
        for refusal, count in list(other.refusals.items()):
            self.refused(refusal, count)
        for method, count in list(other.handed.items()):
            self.handed[method] = self.handed.get(method, 0) + count
        for part, count in list(other.strangers.items()):
            self.unknown(part, count)
        for key, count in list(other.shadow.items()):
            self.compared(*key, count)

    def spread(self) -> None:
        """Adds the plain calls to the decisions' times, the requests and the requests' times."""
        self.deciding.add(self.plain)
        if count := sum(self.plain.buckets):
            self.requested(CHECK_CALL, "OK", count)
            self.answering.setdefault(CHECK_CALL, Durations()).add(self.plain)
        self.plain = Durations()


class Counters:
    """The tallies of all threads, and of counters outside of Python."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._threads: dict[threading.Thread, ThreadCounters] = {}
        self._sources: list[Callable[[], ThreadCounters]] = []
        self._retired = ThreadCounters()
        self._lock = threading.Lock()
        self._admitted: set[Refusal] = set()
        self._admitting = threading.Lock()

    def mine(self) -> ThreadCounters:
        """The calling thread's counters; no other thread may write there."""
        try:
            tally: ThreadCounters = self._local.tally
        except AttributeError:
            tally = self._local.tally = ThreadCounters(self.admit)
            with self._lock:
                self._threads[threading.current_thread()] = tally
        return tally

    def add_source(self, count: Callable[[], ThreadCounters]) -> None:
        """Adds a counter outside of Python, which is read whenever the sum is computed."""
        with self._lock:
            self._sources.append(count)

    def total(self) -> ThreadCounters:
        """The sum of all counters."""
        with self._lock:
            for thread in [thread for thread in self._threads if not thread.is_alive()]:
                self._retired.add(self._threads.pop(thread))
            total = ThreadCounters(self.admit)
            for tally in (self._retired, *self._threads.values()):
                total.add(tally)
            for count in self._sources:
                total.add(count())
            return total

    def admit(self, refusal: Refusal) -> Refusal:
        """The permission itself for the first ones, and a common entry for all others.

        An admitted permission stays admitted: counts taken together cannot be separated later.
        """
        admitted = self._admitted
        if refusal in admitted:
            return refusal
        with self._admitting:
            if refusal.permission and refusal not in admitted and len(admitted) < MAX_REFUSALS:
                admitted.add(refusal)
        return refusal if refusal in admitted else _TOGETHER[refusal.decision]
