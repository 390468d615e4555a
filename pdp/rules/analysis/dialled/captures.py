"""Own numbers that begin within the text before a national number, by the transform rules of a country."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.rules.dialling.layout import MATCH, MATCH_AT_END

if TYPE_CHECKING:
    from pdp.rules.dialling.numbering import NumberingTable

DIGITS = "0123456789"
_LONGEST_TRUNK = 31
"""Characters before a national number at most: the format of tables has no room for more."""


class Captures:
    """The parts of the text before a national number that become the start of the number.

    Args:
        numbering: the table.

    Attributes:
        literals: for each position where own numbers begin within that text, the literal in front of these.
        leave_gap: whether some replacement leaves a gap in the text, so that other parts are needed too.
    """

    def __init__(self, numbering: NumberingTable) -> None:
        self._numbering = numbering
        self._later: dict[int, frozenset[int]] = {}
        self.literals: dict[int, str] = {}
        self.leave_gap = False
        states, at = {numbering.starts.trunk} - {0}, 0
        while states and at <= _LONGEST_TRUNK:
            for state in states:
                for literal, start, end in self._replacements(state):
                    self.leave_gap = self.leave_gap or end != at
                    if end == at:
                        self.literals[start] = literal
            states = {numbering.next_state(state, digit) for state in states for digit in DIGITS} - {0}
            at += 1

    def later(self, trunk: int) -> frozenset[int]:
        """The starts of own numbers within the text that a state, or some more digits, lead to."""
        known = self._later.get(trunk)
        if known is None:
            found = {start for _, start, _ in self._replacements(trunk)}
            for digit in DIGITS:
                if following := self._numbering.next_state(trunk, digit):
                    found |= self.later(following)
            known = self._later[trunk] = frozenset(found)
        return known

    def _replacements(self, state: int) -> list[tuple[str, int, int]]:
        numbering = self._numbering
        found = (numbering.replacement(state, label) for label in (MATCH, MATCH_AT_END) if numbering.ends(state, label))
        return [each for each in found if each is not None]
