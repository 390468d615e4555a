"""Positions in patterns: all patterns read at once, one character after the other.

The positions in all patterns that some characters lead to are the bits of one integer. A character moves these by
``(places & step) << 1 | places & loop``, where a STAR is a position that loops.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.rules.patterns.alphabet import DIALABLE, FIRST_GAP, FULL_WIDTH, GAPS, OTHER, STAR, columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SYMBOLS = {character: symbol for symbol, character in enumerate(DIALABLE)}
SYMBOLS |= {character: FIRST_GAP + gap for gap, run in enumerate(GAPS) for character in run}

Tokens = tuple[int, ...]


class Positions:
    """The positions in some patterns.

    Args:
        patterns: the tokens of each.

    Attributes:
        count: the number of positions.
        start: those before the first character, as bits.
        loop: those that any character may stay at.
        moves: for each symbol, those that move on.
        ends: the pattern that ends at a position, by number.
        first: the first position of each pattern.
    """

    def __init__(self, patterns: Sequence[Tokens]) -> None:
        self.moves = [0] * FULL_WIDTH
        self.loop = self.start = self.count = 0
        self.ends: dict[int, int] = {}
        self.first: list[int] = []
        place = 0
        for index, tokens in enumerate(patterns):
            self.start |= 1 << place
            self.first.append(place)
            for token in tokens:
                if token == STAR:
                    self.loop |= 1 << place
                    continue
                for symbol in columns(token):
                    self.moves[symbol] |= 1 << place
                place += 1
            self.ends[place] = index
            place += 1
        self.count = place
        self._accept = sum(1 << end for end in self.ends)
        self._known: dict[tuple[int, str], int] = {}

    def step(self, places: int, character: str) -> int:
        """The positions behind one more character."""
        known = self._known.get((places, character))
        if known is None:
            moving = places & self.moves[SYMBOLS.get(character, OTHER)]
            known = self._known[places, character] = moving << 1 | places & self.loop
        return known

    def behind(self, text: str, places: int) -> int:
        """The positions behind some more characters."""
        for character in text:
            places = self.step(places, character)
        return places

    def accepted(self, places: int) -> int:
        """The positions where patterns end, of some positions."""
        return places & self._accept

    def patterns(self, places: int) -> Iterable[int]:
        """The patterns that end at some positions."""
        return (self.ends[place] for place in bits_of(places & self._accept))


def bits_of(number: int) -> list[int]:
    """The indices of the bits that are set, lowest first."""
    found = []
    for at, byte in enumerate(number.to_bytes((number.bit_length() + 7) // 8, "little")):
        left = byte
        while left:
            low = left & -left
            found.append(at * 8 + low.bit_length() - 1)
            left ^= low
    return found


def set_of(regions: Iterable[int], count: int) -> int:
    """The number with these bits, given the number of bits."""
    row = bytearray((count + 7) // 8)
    for region in regions:
        row[region >> 3] |= 1 << (region & 7)
    return int.from_bytes(row, "little")
