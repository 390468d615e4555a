"""The core's counts, as ``metrics.counters`` has counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.errors import TooLarge
from pdp.metrics.counters import CHECK_CALL, CHECK_CALLS, MAX_NAME_LENGTH, Durations, Refusal, ThreadCounters
from pdp.rules.model import Decision
from pdp.services.shadow import word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pdp._core import Counts, Front
    from pdp.decision_log.log import DecisionLog
    from pdp.metrics.registry import Metrics

STREAM = "StreamCheckCalls"
_PARTS = ("caller", "outcall")
"""The parts of a call that may not be known, in the core's order."""
_ENDED = ("OK", "CANCELLED", "RESOURCE_EXHAUSTED", "UNAVAILABLE", "INTERNAL")
"""The ends of streams, in the core's order."""


class Counted:
    """Reads the counters of a front.

    Args:
        front: counts.
        metrics: choose the permissions with separate counts.
        log: counts the entries that were dropped; None: there is no decision log.
    """

    def __init__(self, front: Front, metrics: Metrics, log: DecisionLog | None) -> None:
        self._front = front
        self._log = log
        self._denied = ThreadCounters(metrics.tallies.admit)
        """The permissions that denied calls since the last read, which clears the front's record."""

    def tally(self) -> ThreadCounters:
        """All counts since the start."""
        # At each scrape, and not with the lines: those are not taken while the log cannot be written.
        if self._log is not None and (dropped := self._front.dropped()):
            self._log.logged("dropped", dropped)
        counts = self._front.counted()
        tally = ThreadCounters()
        tally.decisions = counts.decisions
        tally.plain, tally.deciding = Durations.of(*counts.plain), Durations.of(*counts.deciding)
        for method, times in ((CHECK_CALLS, counts.batches), (STREAM, counts.streamed)):
            if sum(times[0]):
                tally.answering[method] = Durations.of(*times)
        for method, code, count in _requests(counts):
            if count:
                tally.requested(method, code, count)
        tally.handed = dict(zip((CHECK_CALL, CHECK_CALLS, STREAM), counts.handed, strict=True))
        tally.strangers = {part: count for part, count in zip(_PARTS, counts.strange, strict=True) if count}
        tally.refusals = self._refusals()
        for tenant, decision, candidate, count in self._front.compared():
            tally.compared(tenant, word(decision), word(candidate), count)
        return tally

    def _refusals(self) -> dict[Refusal, int]:
        """The calls that permissions denied or challenged since the start."""
        for tenant, permission, name, decision, count in self._front.denying():
            verdict = Decision(decision).name.lower()
            known = Refusal(tenant, str(permission), name[:MAX_NAME_LENGTH], verdict)
            self._denied.refused(known if tenant else Refusal("", "", "", verdict), count)
        return dict(self._denied.refusals)


def _requests(counts: Counts) -> Iterator[tuple[str, str, int]]:
    """Requests answered, by method and code."""
    yield CHECK_CALLS, "OK", sum(counts.batches[0])
    for method, count in zip((CHECK_CALL, CHECK_CALLS), counts.too_large, strict=True):
        yield method, TooLarge.code.name, count
    for code, count in zip(_ENDED, counts.ended, strict=True):
        yield STREAM, code, count
