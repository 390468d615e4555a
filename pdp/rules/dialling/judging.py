"""Judging patterns in tenants with a dialling plan: patterns that match other numbers than their author means.

A pattern is judged by all forms of numbers in the tenant's country that the pattern can match, not by samples. Numbers
are taken as seven digits or more behind a prefix: shorter ones may be anything. Those that are dialled without the
national prefix are looked up in the table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.rules.dialling.layout import BARE, LEAST_DIGITS
from pdp.rules.dialling.numbering import PLUS, NumberingTable
from pdp.rules.patterns.alphabet import STAR, mask_of
from pdp.rules.patterns.places import first_places, next_places, places_behind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.rules.patterns.parser import Pattern

_DIGITS = "0123456789"
_ANY_DIGIT = sum(map(mask_of, _DIGITS))
_LONGEST = 20
"""Digits of the longest number with its prefix, and some more: a pattern that needs more matches none."""


class DialledPatterns:
    """Judges the patterns of tenants with the same dialling plan.

    Args:
        table: the numbering table of the country and outside line.

    Attributes:
        line: the outside line, or nothing.
        code: the country code.
    """

    def __init__(self, table: bytes) -> None:
        view = memoryview(table)
        self._numbering = numbering = NumberingTable(view)
        self.line = numbering.outside_line
        self.code = numbering.code
        # Without a national prefix that text is empty: any digits behind the outside line are a number then.
        self._international = numbering.international_prefixes(view)
        self._starts = (numbering.prefix, *self._international)

    def only_foreign(self, pattern: Pattern) -> bool:
        """Whether a pattern for ``+`` and any number leaves out the numbers of the tenant's own country."""
        plain = pattern.text.replace("_", "")
        own = PLUS + self.code
        if not plain.startswith(PLUS) or plain.startswith(own):
            return False
        return _takes(pattern.tokens, places_behind(pattern.tokens, own))

    def is_abroad(self, text: str) -> bool:
        """Whether a pattern begins with an international prefix, and not with that and the own country code."""
        plain = text.replace("_", "")
        starts = [self.line + prefix for prefix in self._international if plain.startswith(self.line + prefix)]
        return bool(starts) and not any(plain.startswith(start + self.code) for start in starts)

    def lacks_line(self, pattern: Pattern) -> bool:
        """Whether a pattern would match numbers, were there no outside line in front."""
        return bool(self.line) and not self.matches_numbers(pattern) and self._matches_behind(pattern.tokens, "")

    def is_no_number(self, pattern: Pattern) -> bool:
        """Whether a pattern is for numbers, by its length, and matches none in the country's forms."""
        tokens = pattern.tokens
        asked = sum(token != STAR for token in tokens)
        return asked >= LEAST_DIGITS and _takes(tokens, first_places(tokens)) and not self.matches_numbers(pattern)

    def matches_numbers(self, pattern: Pattern) -> bool:
        """Whether a pattern can match a form of some number."""
        tokens = pattern.tokens
        if _takes(tokens, places_behind(tokens, PLUS)) or self._matches_behind(tokens, self.line):
            return True
        return bool(self.line) and self._matches_without_line(tokens)

    def _matches_behind(self, tokens: Sequence[int], line: str) -> bool:
        """Whether a pattern can match a number behind an outside line, or behind none."""
        if any(_takes(tokens, places_behind(tokens, line + start)) for start in self._starts):
            return True
        return self._takes_bare(tokens, places_behind(tokens, line), "")

    def _matches_without_line(self, tokens: Sequence[int]) -> bool:
        """Whether a pattern can match a number that may be written without the outside line, by another beginning."""
        line = self.line
        others = [digit for digit in _DIGITS if digit != line[0]]
        for start in self._starts:
            starts = [] if start.startswith(line) else [start] if start else others
            if any(_takes(tokens, places_behind(tokens, text)) for text in starts):
                return True
        return self._takes_bare(tokens, first_places(tokens), line)

    def _takes_bare(self, tokens: Sequence[int], places: set[int], line: str) -> bool:
        """Whether a number that is dialled bare, and does not begin with a line, can be the whole rest of a pattern."""
        seen = set()
        waiting = [(self._numbering.starts.own, frozenset(places), line or None)]
        while waiting:
            state, now, left = waiting.pop()
            if not state or not now or left == "" or (state, now, left) in seen:
                continue
            seen.add((state, now, left))
            if len(tokens) in now and self._numbering.ends(state, BARE):
                return True
            for digit in _DIGITS:
                after = frozenset(next_places(tokens, now, mask_of(digit)))
                still = left[1:] if left and left[0] == digit else None
                waiting.append((self._numbering.next_state(state, digit), after, still))
        return False


def _takes(tokens: Sequence[int], places: set[int]) -> bool:
    """Whether a number's digits, seven or more, can be the whole rest from one of these positions on."""
    for count in range(_LONGEST + 1):
        if count >= LEAST_DIGITS and len(tokens) in places:
            return True
        places = next_places(tokens, places, _ANY_DIGIT)
    return False
