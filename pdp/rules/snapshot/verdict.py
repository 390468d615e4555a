"""Verdicts: a decision and the permission that decided; in automata a number, everywhere else a tuple.

The number is the permission's slot, the stage and the decision, in that order from the highest bit; 0 is none. So all
but the permission's id and name is read from the number, and those two from the permission's row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pdp.rules.model import Decision, Reason, Stage
from pdp.rules.snapshot.layout import LONG_NAME, PERMISSION_NAMED, PERMISSION_ROW

if TYPE_CHECKING:
    from pdp.rules.snapshot.blob import Blob


class Verdict(NamedTuple):
    """A decision, and the permission that decided.

    Attributes:
        decision: ALLOW, DENY or CHALLENGE.
        stage: the stage that decided; NONE where no permission matched.
        permission_id: the id of the permission that decided; None in the stages NONE, EMERGENCY and POLICY.
        permission_name: the name of that permission; empty in those stages.
    """

    decision: Decision
    stage: Stage
    permission_id: int | None
    permission_name: str


UNRESTRICTED = Verdict(Decision.ALLOW, Stage.NONE, None, "")
"""No permission of any stage matches: the call is allowed."""
EMERGENCY = Verdict(Decision.ALLOW, Stage.EMERGENCY, None, "")
DENIED_BY_POLICY = Verdict(Decision.DENY, Stage.POLICY, None, "")


class Outcome(NamedTuple):
    """A verdict, and all that a response says about the call.

    Attributes:
        verdict: the verdict on the call.
        reason: the reason of the decision, in one word.
        caller_known: whether the caller is a user of the tenant.
        outcall_known: whether the outcall is one of the tenant's.
    """

    verdict: Verdict
    reason: Reason
    caller_known: bool
    outcall_known: bool


_LOW = {
    decision | stage - Stage.USER << 2: (decision, stage)
    for decision in Decision
    for stage in (Stage.USER, Stage.GROUP, Stage.OUTCALL)
}
OUTCOMES = tuple(_LOW.get(low, (Decision.DENY, Stage.NONE)) for low in range(16))
"""Decision and stage by the low bits of a verdict's number."""


def verdict_number(slot: int, decision: Decision, stage: Stage) -> int:
    """The number of the verdict "the permission in this slot decides so in this stage"."""
    return slot << 4 | stage - Stage.USER << 2 | decision


def verdict_parts(number: int) -> tuple[int, Decision, Stage]:
    """The slot, decision and stage of a verdict's number; the inverse of ``verdict_number``."""
    return number >> 4, *OUTCOMES[number & 15]


def read_verdict(blob: Blob, permissions: int, strings: int, number: int) -> Verdict:
    """The verdict with a number that is not 0.

    Args:
        blob: the bytes with the permissions' rows.
        permissions: where in ``blob`` the rows start.
        strings: where in ``blob`` the names start that do not fit into their row.
        number: the number of the verdict.
    """
    slot, decision, stage = verdict_parts(number)
    row = permissions + slot * PERMISSION_ROW.size
    permission, name = PERMISSION_NAMED.unpack_from(blob, row)
    return Verdict(decision, stage, permission, permission_name(blob, row, name, strings))


def permission_name(blob: Blob, row: int, name: bytes, strings: int) -> str:
    """The name of a permission whose row starts at ``row`` in ``blob`` and holds the start ``name``."""
    return name.decode() if len(name) < LONG_NAME else long_name(blob, row, strings)


def long_name(blob: Blob, row: int, strings: int) -> str:
    """The name of a permission that does not fit into its row, which starts at ``row`` in ``blob``."""
    *_, text, length = PERMISSION_ROW.unpack_from(blob, row)
    return blob[strings + text : strings + text + length].decode()
