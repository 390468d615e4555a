"""Verdicts: what was decided, and by which permission; in automata a number, to everybody else a tuple.

The number is the permission's slot, the stage and the decision, in that order from the highest bit; 0 is none. So all
but the permission's id and name is read from the number itself, and those two from the permission's row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pdp.rules.model import Decision, Reason, Stage
from pdp.rules.snapshot.layout import LONG_NAME, PERMISSION_NAMED, PERMISSION_ROW

if TYPE_CHECKING:
    from pdp.rules.snapshot.blob import Blob


class Verdict(NamedTuple):
    """What was decided, and by which permission.

    Attributes:
        decision: ALLOW, DENY or CHALLENGE.
        stage: the stage that decided; NONE where no permission matched.
        permission_id: of the permission that decided; None in the stages NONE, EMERGENCY and POLICY.
        permission_name: its name; empty in those stages.
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
    """What was decided, and all that a response says about it.

    Attributes:
        verdict: what was decided.
        reason: why, in one word.
        caller_known: whether the asker is a user of the tenant.
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
"""By the low bits of a verdict's number: its decision and stage."""


def verdict_number(slot: int, decision: Decision, stage: Stage) -> int:
    """The number of the verdict "the permission in this slot decides so in this stage"."""
    return slot << 4 | stage - Stage.USER << 2 | decision


def verdict_parts(number: int) -> tuple[int, Decision, Stage]:
    """What ``verdict_number`` made a number from."""
    return number >> 4, *OUTCOMES[number & 15]


def read_verdict(blob: Blob, permissions: int, strings: int, number: int) -> Verdict:
    """The verdict with a number that is not 0.

    Args:
        blob: holds permissions' rows.
        permissions: where in ``blob`` the rows start.
        strings: where in ``blob`` the names start that do not fit into their row.
        number: the verdict's.
    """
    slot, decision, stage = verdict_parts(number)
    row = permissions + slot * PERMISSION_ROW.size
    permission, name = PERMISSION_NAMED.unpack_from(blob, row)
    return Verdict(decision, stage, permission, permission_name(blob, row, name, strings))


def permission_name(blob: Blob, row: int, name: bytes, strings: int) -> str:
    """The name of a permission whose row starts there in ``blob`` and holds this much of it."""
    return name.decode() if len(name) < LONG_NAME else long_name(blob, row, strings)


def long_name(blob: Blob, row: int, strings: int) -> str:
    """The name of a permission that does not fit into its row, which starts there in ``blob``."""
    *_, text, length = PERMISSION_ROW.unpack_from(blob, row)
    return blob[strings + text : strings + text + length].decode()
