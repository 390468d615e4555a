"""Reading numbers with a numbering table: the number of a string of digits, in a country and behind an outside line.

A *number* is a text: an own number is its NSN, a foreign one ``+``, country code and national number, and no number is
the empty text. Equal numbers are equal texts, however dialled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pdp.rules.dialling.layout import (
    BARE,
    COUNT,
    DROPS_TRUNK,
    HAS_BARE,
    HAS_COUNTRY,
    HEADER,
    LEAST_DIGITS,
    MATCH,
    MATCH_AT_END,
    TABLE_MAGIC,
    TABLE_VERSION,
    TRANSFORMS,
    VALID,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

NO_NUMBER = ""
PLUS = "+"
_UP_TO = tuple((2 << max(0, code - ord("0"))) - 1 for code in range(ord("9") + 1))
"""The bits of a state's header to count for the index of a transition, by the digit's ASCII code."""


class Starts(NamedTuple):
    """The states in which walks of own numbers, international prefixes, national ones and foreign numbers begin.

    State 0 is the dead state.
    """

    own: int
    prefixes: int
    trunk: int
    foreign: int


class NumberingTable:
    """A table, opened in place.

    Attributes:
        country: ISO code, or nothing: then there are no numbers.
        outside_line: digits, or nothing.
        code: the country code.
        prefix: the national prefix, or nothing.
        hides_caller: codes that may stand before a number.
        drops_trunk: whether a national prefix behind the country code is never part of the number.
        has_bare: whether some numbers are dialled without the national prefix.
        size: bytes of the table, without the international prefixes at the end.
    """

    def __init__(self, table: memoryview) -> None:
        magic, version, flags, words, self._own, self._prefixes, self._trunk, self._foreign = HEADER.unpack_from(table)
        if magic != TABLE_MAGIC or version != TABLE_VERSION:
            raise ValueError("no numbering table of this release's format")
        end = HEADER.size + 2 * words
        self._words = table[HEADER.size : end].cast("H") if words else memoryview(bytes(4)).cast("H")
        (self.country, self.outside_line, self.code, self.prefix, self._literal), end = read_strings(table, end, 5)
        self.hides_caller, self.size = read_strings(table, end + 1, table[end])
        self._last: tuple[str, int] = (NO_NUMBER, 0)
        self.has_country = bool(flags & HAS_COUNTRY)
        self.drops_trunk = bool(flags & DROPS_TRUNK)
        self.has_bare = bool(flags & HAS_BARE)

    def international_prefixes(self, table: memoryview) -> Sequence[str]:
        """The international prefixes, from the whole table."""
        (count,) = COUNT.unpack_from(table, self.size)
        return read_strings(table, self.size + COUNT.size, count)[0]

    def number(self, text: str, *, behind_line: bool) -> str:
        """The number of a text of digits, or of ``+`` and digits.

        Args:
            text: the dialled text.
            behind_line: whether the text stands behind the outside line.
        """
        if text[:1] == PLUS:
            return self._international(text[1:])
        ends = self.prefix_ends(text)
        if ends:
            behind = text[ends[0] if len(ends) == 1 else self._chosen(text, ends) :]
            if not behind or behind[0] == "0":
                return NO_NUMBER
            number = self._international(behind)
            if number:
                return number
        if self._trunk:
            number = self._national(text)
            if number:
                return number
        if behind_line and not self.prefix and len(text) >= LEAST_DIGITS:
            return text
        return text if self.has_bare and self.is_bare(text) else NO_NUMBER

    def is_valid(self, number: str) -> bool:
        """Whether libphonenumber says that a number is valid."""
        if number[:1] == PLUS:
            return bool(self._label(self._foreign, number[1:]) & VALID)
        return bool(self._own_label(number) & VALID)

    def is_bare(self, number: str) -> bool:
        """Whether an own number is valid, and dialled without the national prefix."""
        return bool(self._own_label(number) & BARE)

    def _own_label(self, number: str) -> int:
        """The label of an own number; the last one is kept, since one call needs the label several times."""
        last, label = self._last
        if number != last:
            label = self._label(self._own, number)
            self._last = (number, label)
        return label

    @property
    def starts(self) -> Starts:
        """The states in which walks begin."""
        return Starts(self._own, self._prefixes, self._trunk, self._foreign)

    def next_state(self, state: int, digit: str) -> int:
        """The state behind a digit, in any of the automata."""
        words, counted = self._words, _UP_TO[ord(digit)]
        following: int = words[state + (words[state] & counted).bit_count()]
        return following

    def ends(self, state: int, label: int) -> bool:
        """Whether a text that ends in a state has a label: VALID, BARE, MATCH or MATCH_AT_END."""
        return bool(self._words[state] & label)

    def replacement(self, state: int, label: int) -> tuple[str, int, int] | None:
        """The replacement at a state with one of these labels: a literal, and the start and end of a part of the text.

        None: the text in front of the national number is dropped.
        """
        action = self._words[state - (1 if label == MATCH else 2)]
        return (self._literal, action >> 5 & 31, action & 31) if action & TRANSFORMS else None

    def _label(self, state: int, text: str) -> int:
        """The label of a text in the automaton that is entered in a state."""
        words, up_to = self._words, _UP_TO
        for code in text.encode():
            state = words[state + (words[state] & up_to[code]).bit_count()]
            if not state:
                return 0
        return words[state]

    def prefix_ends(self, text: str) -> list[int]:
        """The ends of international prefixes in front of a text, the shortest first."""
        words, up_to, state, ends = self._words, _UP_TO, self._prefixes, []
        for at, code in enumerate(text.encode(), 1):
            state = words[state + (words[state] & up_to[code]).bit_count()]
            if not state:
                break
            if words[state] & VALID:
                ends.append(at)
        return ends

    def begins_prefix(self, text: str) -> bool:
        """Whether a longer international prefix begins with a text."""
        state = self._prefixes
        for digit in text:
            state = self.next_state(state, digit)
        return any(self.next_state(state, digit) for digit in "0123456789")

    def _chosen(self, text: str, ends: list[int]) -> int:
        """The end that is meant, of several international prefixes, given by their ends."""
        numbers = [(end, self._international(text[end:])) for end in reversed(ends)]
        for end, number in numbers:
            if self.is_valid(number):
                return end
        for end, number in numbers:
            if number[:1] == PLUS:
                return end
        return ends[-1]

    def _international(self, digits: str) -> str:
        """The number that digits behind an international prefix are."""
        if not digits or digits[0] == "0":
            return NO_NUMBER
        if digits.startswith(self.code):
            own = digits[len(self.code) :]
            if self.prefix and own.startswith(self.prefix):
                without = own[len(self.prefix) :]
                if self.drops_trunk or (self.is_valid(without) and not self.is_valid(own)):
                    own = without
            if len(own) >= LEAST_DIGITS or self.is_valid(own):
                return own
        return PLUS + digits if len(digits) >= LEAST_DIGITS else NO_NUMBER

    def _national(self, text: str) -> str:
        """The own number behind a national prefix, carriers' codes included."""
        action, end = self._trunk_match(text)
        if not action:
            return NO_NUMBER
        number = text[end:]
        if action & TRANSFORMS:
            number = self._literal + text[action >> 5 & 31 : action & 31] + number
        return number if len(number) >= LEAST_DIGITS or self.is_valid(number) else NO_NUMBER

    def _trunk_match(self, text: str) -> tuple[int, int]:
        """The action for the text before a national number, and the end of that text; 0 and 0 without such a text."""
        words, up_to, state = self._words, _UP_TO, self._trunk
        action = end = 0
        for at, code in enumerate(text.encode(), 1):
            state = words[state + (words[state] & up_to[code]).bit_count()]
            if not state:
                break
            if words[state] & MATCH:
                action, end = words[state - 1], at
        if words[state] & MATCH_AT_END:
            action, end = words[state - 2], len(text)
        return action, end


def read_strings(table: memoryview, start: int, count: int) -> tuple[tuple[str, ...], int]:
    """The strings of a table from an offset on, ``count`` of these, and the offset behind."""
    found = []
    for _ in range(count):
        end = start + 1 + table[start]
        found.append(str(table[start + 1 : end], "ascii"))
        start = end
    return tuple(found), start
