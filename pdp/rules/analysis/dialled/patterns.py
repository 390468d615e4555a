"""Patterns that forms are matched against: some forms by those patterns alone that spell out their start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.rules.analysis.positions import Positions
from pdp.rules.dialling.layout import LEAST_DIGITS
from pdp.rules.patterns.alphabet import STAR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.rules.analysis.positions import Tokens


class Patterns:
    """The positions in patterns, those of emergency texts apart.

    Args:
        tokens: the tokens of the patterns, then those of the emergency texts.
        spelled: for each pattern the starts that it spells out.

    Attributes:
        positions: all positions.
        rules: those before the first character of patterns.
        emergency: all those of emergency texts.
        everything: those before the first character of patterns and emergency texts.
    """

    def __init__(self, tokens: Sequence[Tokens], spelled: Sequence[tuple[str, ...]]) -> None:
        self.positions = positions = Positions(tokens)
        first = positions.first[len(spelled)] if len(spelled) < len(tokens) else positions.count
        self.everything = positions.start
        self.rules = positions.start & (1 << first) - 1
        self.emergency = (1 << positions.count) - 1 >> first << first
        self.step = positions.step
        self._enduring = [_enduring(tokens, positions, length) for length in range(LEAST_DIGITS + 1)]
        self._spelled: dict[str, int] = {}
        for start, texts in zip(positions.first, spelled, strict=False):
            for text in texts:
                self._spelled[text] = self._spelled.get(text, 0) | 1 << start + len(text)

    def behind(self, text: str) -> int:
        """The positions that the start of a form leads to."""
        return self.positions.behind(text, self.rules)

    def enduring(self, length: int) -> int:
        """The positions from which patterns can match a number of further digits, or more; at most seven."""
        return self._enduring[length]

    def spelled_out(self, text: str) -> int:
        """The positions behind the start of a form in those patterns that spell it out."""
        return self._spelled.get(text, 0)

    def matched(self, form: str, spelled: str) -> int:
        """The positions where the patterns end that match a form.

        Args:
            form: the form.
            spelled: the start that patterns must spell out; empty: nothing.
        """
        start = self.spelled_out(spelled) if spelled else self.rules
        return self.positions.accepted(self.positions.behind(form[len(spelled) :], start))

    def emergency_behind(self, text: str) -> int:
        """The positions that a text leads to in emergency texts."""
        return self.positions.behind(text, self.everything & self.emergency)


def _enduring(patterns: Sequence[Tokens], positions: Positions, length: int) -> int:
    found = 0
    for first, tokens in zip(positions.first, patterns, strict=True):
        width = sum(token != STAR for token in tokens)
        last = width - length
        if STAR in tokens:  # anything can be matched up to the last position that loops
            loops = positions.loop >> first & (1 << width + 1) - 1
            last = max(last, loops.bit_length() - 1)
        found |= (1 << max(last + 1, 0)) - 1 << first
    return found
