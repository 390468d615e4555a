"""Slots and profiles: permissions, and sets of them, in the form that automata know."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pdp.rules.precedence import decision_of

if TYPE_CHECKING:
    from pdp.rules.model import Decision, Mode


class Slot(NamedTuple):
    """A permission in the form that automata know; equal for permissions that automata cannot tell apart."""

    id: int
    mode: Mode
    has_password: bool
    patterns: tuple[int, ...]

    @property
    def decision(self) -> Decision:
        """The decision where the permission matches and prevails."""
        return decision_of(self.mode, has_password=self.has_password)


Profile = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""The slots that apply in the stages USER, GROUP and OUTCALL."""
