"""Parts of responses as bytes: common to all responses by one snapshot, made once and put together for each call."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import ref

from pdp.metrics.counters import outcome
from pdp.rules.model import Decision, Reason
from pdp.rules.snapshot.protobuf import CALLER_KNOWN, delimited
from pdp.rules.snapshot.verdict import UNRESTRICTED, Outcome, Verdict, verdict_parts
from pdp.services.messages import response_of
from rightcall.v1 import decision_pb2 as messages

if TYPE_CHECKING:
    from pdp.metrics.counters import Refusal
    from pdp.rules.snapshot.snapshot import Snapshot

ALONE, AMONG_MANY = b"", b"\x0a\x0a"
"""The tags around a response: none, or those of CheckCallsResponse.answers and CheckCallsAnswer.response."""
_PERMISSION, CHALLENGE_TAG = b"\x1a", b"\x2a"
"""The tags of CheckCallResponse.permission and of CheckCallResponse.challenge. Fields may come in any order."""
LOW_MASK = 15
"""The bits of a verdict's number that hold decision and stage; all are 0 where there is no verdict."""
DECISION_MASK = 3
"""The fields that hold the decision."""
ALLOWED, CHALLENGED = int(Decision.ALLOW), int(Decision.CHALLENGE)
"""Decisions as plain numbers: lookups in an enumeration are slow."""
OUTCOMES = tuple(outcome(*verdict_parts(low)[1:]) if low else outcome(*UNRESTRICTED[:2]) for low in range(LOW_MASK + 1))
"""The index in the counts for the low bits of a verdict's number."""
KNOWN_SHIFT = 32
"""The bits from here on are CALLER_KNOWN and OUTCALL_KNOWN."""
NUMBER_MASK = CALLER_KNOWN - 1
"""The bits of the verdict's number itself."""


def _heads() -> tuple[bytes, ...]:
    """The fields before the permission, by the low bits of a verdict's number."""
    verdicts = (Verdict(*verdict_parts(low)[1:], None, "") for low in range(LOW_MASK + 1))
    outcomes = (Outcome(verdict, Reason.PERMISSION, caller_known=False, outcall_known=False) for verdict in verdicts)
    return tuple(response_of(None, outcome).SerializeToString() + _PERMISSION for outcome in outcomes)


HEADS = _heads()
_UNRESTRICTED = response_of(
    None, Outcome(UNRESTRICTED, Reason.NO_PERMISSION, caller_known=False, outcall_known=False)
).SerializeToString()


class Common:
    """The common parts of responses by one snapshot, which do not keep the snapshot alive.

    Attributes:
        of: the snapshot, or None when that has gone.
        ends: fields behind the permission, by which are known: neither, the caller, the outcall, both.
        unrestricted: the response where no permission matches, by the same, and then by the surrounding tags.
        refusals: the counted permission of a verdict, by the verdict's number.
    """

    __slots__ = ("ends", "of", "refusals", "unrestricted")

    def __init__(self, snapshot: Snapshot) -> None:
        self.of = ref(snapshot)
        self.ends = [
            messages.CheckCallResponse(
                revision=str(snapshot.revision), caller_known=bool(known & 1), outcall_known=bool(known & 2)
            ).SerializeToString()
            for known in range(4)
        ]
        self.unrestricted = [_unrestricted(end) for end in self.ends]
        self.refusals: dict[int, Refusal] = {}


def _unrestricted(end: bytes) -> dict[bytes, bytes]:
    """The response where no permission matches, by the surrounding tags."""
    return {ALONE: _UNRESTRICTED + end, AMONG_MANY: among_many(_UNRESTRICTED + end)}


def among_many(response: bytes) -> bytes:
    """A CheckCallResponse as an entry of a CheckCallsResponse."""
    for tag in AMONG_MANY:
        response = delimited(bytes((tag,)), response)
    return response
