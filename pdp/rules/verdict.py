"""Verdicts: what was decided, and by which permission; in automata a number, to everybody else a tuple.

The number is the permission's slot, the stage and the decision, in that order from the highest bit; 0 is none. So all
but the permission's id and name is read from the number itself, and those two from the permission's row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pdp.rules.layout import LONG_NAME, PERMISSION_NAMED, PERMISSION_ROW
from pdp.rules.model import Decision, Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from pdp.rules.blob import Blob


class Verdict(NamedTuple):
    """What was decided, and by which permission.

    Attributes:
        decision: ALLOW, DENY or CHALLENGE.
        stage: the stage that decided; NONE where no permission matched.
        permission_id: of the permission that decided; None in the stage NONE.
        permission_name: its name; empty in the stage NONE.
    """

    decision: Decision
    stage: Stage
    permission_id: int | None
    permission_name: str


UNRESTRICTED = Verdict(Decision.ALLOW, Stage.NONE, None, "")
"""No permission of any stage matches: the call is allowed."""

_LOW = {
    decision | stage - Stage.USER << 2: (decision, stage)
    for decision in Decision
    for stage in (Stage.USER, Stage.GROUP, Stage.OUTCALL)
}
_OUTCOMES = tuple(_LOW.get(low, (Decision.DENY, Stage.NONE)) for low in range(16))
_REMEMBERED_VERDICTS = 4096
"""Most calls end in one of a few verdicts, and a tuple that is there is quicker than a new one."""


def verdict_number(slot: int, decision: Decision, stage: Stage) -> int:
    """The number of the verdict "the permission in this slot decides so in this stage"."""
    return slot << 4 | stage - Stage.USER << 2 | decision


def verdict_parts(number: int) -> tuple[int, Decision, Stage]:
    """What ``verdict_number`` made a number from."""
    return number >> 4, *_OUTCOMES[number & 15]


def long_name(blob: Blob, permissions: int, strings: int, slot: int) -> str:
    """The name of a permission that does not fit into its row."""
    *_, text, length = PERMISSION_ROW.unpack_from(blob, permissions + slot * PERMISSION_ROW.size)
    return blob[strings + text : strings + text + length].decode()


def make_decider(
    match: Callable[[str, str, str], int], blob: Blob, permissions: int, strings: int
) -> Callable[[str, str, str], Verdict]:
    """A function from caller, extension and outcall to the verdict; like ``match``, over local names, for speed.

    Args:
        match: from caller, extension and outcall to a verdict's number.
        blob: holds permissions' rows.
        permissions: where in ``blob`` the rows start.
        strings: where in ``blob`` the names start that do not fit into their row.
    """
    outcomes, named, row_size = _OUTCOMES, PERMISSION_NAMED.unpack_from, PERMISSION_ROW.size
    new = tuple.__new__  # a third of what the constructor of a named tuple costs

    remembered: dict[int, Verdict] = {}

    def verdict_of(number: int) -> Verdict:
        decision, stage = outcomes[number & 15]
        permission, name = named(blob, permissions + (number >> 4) * row_size)
        text = name.decode() if len(name) < LONG_NAME else long_name(blob, permissions, strings, number >> 4)
        verdict = new(Verdict, (decision, stage, permission, text))
        if len(remembered) < _REMEMBERED_VERDICTS:
            remembered[number] = verdict
        return verdict

    def decide(caller: str, extension: str, outcall: str) -> Verdict:
        number = match(caller, extension, outcall)
        return (remembered.get(number) or verdict_of(number)) if number else UNRESTRICTED

    return decide
