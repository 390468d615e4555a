"""The core's counts, as ``metrics.counters`` has counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.errors import TooLarge
from pdp.metrics.counters import CHECK_CALL, CHECK_CALLS, MAX_NAME_LENGTH, Durations, Refusal, Tally
from pdp.rules.model import Decision

if TYPE_CHECKING:
    from pdp._core import Front
    from pdp.metrics.counters import Tallies

STREAM = "StreamCheckCalls"
_ENDED = ("OK", "CANCELLED", "RESOURCE_EXHAUSTED", "UNAVAILABLE", "INTERNAL")
"""The ends of streams, in the core's order."""


class Counted:
    """Reads the counters of a front.

    Args:
        front: counts.
        tallies: choose the permissions with separate counts.
    """

    def __init__(self, front: Front, tallies: Tallies) -> None:
        self._front = front
        self._denied = Tally(tallies.admit)
        """The permissions that denied calls since the last read, which clears the front's record."""

    def tally(self) -> Tally:
        """All counts since the start."""
        counts = self._front.counted()
        for tenant, permission, name, decision, count in self._front.denying():
            verdict = Decision(decision).name.lower()
            known = Refusal(tenant, str(permission), name[:MAX_NAME_LENGTH], verdict)
            self._denied.refused(known if tenant else Refusal("", "", "", verdict), count)
        tally = Tally()
        tally.decisions = counts.decisions
        tally.plain, tally.deciding = Durations.of(*counts.plain), Durations.of(*counts.deciding)
        if answered := sum(counts.batches[0]):
            tally.requested(CHECK_CALLS, "OK", answered)
            tally.answering[CHECK_CALLS] = Durations.of(*counts.batches)
        for method, count in zip((CHECK_CALL, CHECK_CALLS), counts.too_large, strict=True):
            if count:
                tally.requested(method, TooLarge.code.name, count)
        if sum(counts.streamed[0]):
            tally.answering[STREAM] = Durations.of(*counts.streamed)
        for code, count in zip(_ENDED, counts.ended, strict=True):
            if count:
                tally.requested(STREAM, code, count)
        tally.handed = dict(zip((CHECK_CALL, CHECK_CALLS, STREAM), counts.handed, strict=True))
        for part, count in zip(("caller", "outcall"), counts.strange, strict=True):
            if count:
                tally.unknown(part, count)
        tally.refusals = dict(self._denied.refusals)
        return tally
