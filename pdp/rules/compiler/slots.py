"""Slots and profiles: permissions, and sets of them, in the form that automata know."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pdp.rules.precedence import decision_of, rank
from pdp.rules.snapshot.verdict import verdict_number

if TYPE_CHECKING:
    from pdp.rules.model import Mode, Stage


class Slot(NamedTuple):
    """A permission in the form that automata know; equal for permissions that automata cannot tell apart."""

    id: int
    mode: Mode
    has_password: bool
    patterns: tuple[int, ...]

    def ranked(self, index: int, stage: Stage) -> tuple[int, int]:
        """Rank and verdict of the slot, if the slot has this index."""
        decision = decision_of(self.mode, has_password=self.has_password)
        return rank(stage, decision, self.id), verdict_number(index, decision, stage)


Profile = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""The slots that apply in the stages USER, GROUP and OUTCALL."""
