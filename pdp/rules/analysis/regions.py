"""Regions: the sets of extensions that no pattern in question tells apart, and sets of extensions as integers.

All patterns are read at once by one walk. A state of the walk is the set of positions in all patterns that the
characters so far lead to, held as the bits of one integer; a character moves the state by ``(state & step) << 1 |
state & loop``, where a STAR is a position that loops. The patterns that end at a state say which *region* its
extensions are in. A set of extensions is then an integer with one bit per region, and union, intersection and
difference are ``|``, ``&`` and ``& ~``: exact for all extensions of 1 to 128 printable characters.

Regions are numbered in the order of a walk breadth first: first with digits alone, then with characters that can be
dialled, then with any character. So the lowest bit of a set is its best example: the shortest of digits, where there is
one.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from pdp.rules.analysis.walk import Tokens, Walk, bits_of
from pdp.rules.model import MAX_EXTENSION_LENGTH
from pdp.rules.patterns.parser import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_STATES = 200_000
"""The limit of a walk's states; beyond, patterns with a ``.`` or ``!`` inside would take seconds, and then minutes."""
COUNTED_LENGTHS = 6
"""Extensions are counted up to this many characters."""


_TELLING_LENGTH = 10
_DIGITS = "1234567890"


class Sample(NamedTuple):
    """A set of extensions by example and by number, restricted to those that can be dialled (``0-9 * # +``).

    Attributes:
        shortest: the first few of the shortest ones, in the order ``0-9 * # +``; empty where none can be dialled.
        shortest_count: the number of extensions of that length.
        counts: the numbers of extensions of 1, 2, … characters.
    """

    shortest: tuple[str, ...]
    shortest_count: int
    counts: tuple[int, ...]


class Regions:
    """The regions of some patterns.

    Args:
        texts: the patterns, which are valid.
        max_states: the limit of the walk's states.

    Attributes:
        texts: the patterns, without repetition.
        count: the number of regions.
        universe: every extension, as a set.

    Raises:
        TooManyStatesError: the walk has more states.
        PatternError: a pattern is invalid.
    """

    def __init__(self, texts: Iterable[str], *, max_states: int = MAX_STATES) -> None:
        self.texts = tuple(dict.fromkeys(texts))
        by_tokens: dict[Tokens, list[str]] = {}
        for text in self.texts:
            by_tokens.setdefault(parse(text).tokens, []).append(text)
        walk = Walk(tuple(by_tokens), max_states)
        self._walk = walk
        self._regions, order = _numbered(walk)
        self.count = len(order)
        self.universe = (1 << self.count) - 1
        self._first = order
        self._sets = {
            text: numbers
            for numbers, same in zip(walk.languages(order), by_tokens.values(), strict=True)
            for text in same
        }

    def covers(self, texts: Iterable[str]) -> bool:
        """Whether all of these patterns are among those that the regions were made from."""
        return all(text in self._sets for text in texts)

    def numbers(self, text: str) -> int:
        """The set of extensions of a pattern, which is one of those that the regions were made from."""
        return self._sets[text]

    def any_of(self, texts: Iterable[str]) -> int:
        """The set of extensions that at least one of some patterns matches."""
        numbers = 0
        for text in texts:
            numbers |= self._sets[text]
        return numbers

    @cached_property
    def named(self) -> dict[int, str]:
        """The sets that are one pattern's, each with the pattern's shortest text."""
        names: dict[int, str] = {}
        for text in sorted(self.texts, key=lambda text: (len(text), text)):
            names.setdefault(self._sets[text], text)
        return names

    def example(self, numbers: int) -> str:
        """The best example of a set that is not empty: shortest, of digits alone if there is one, else dialable."""
        phase, state = self._first[(numbers & -numbers).bit_length() - 1]
        return self._walk.word(phase, state)

    def telling(self, numbers: int) -> str:
        """An example of a set that reads like a number that people dial: of ten digits where the set has such a one."""
        shortest = self.example(numbers)
        longer = shortest + _DIGITS[: _TELLING_LENGTH - len(shortest)]
        if shortest.isdecimal() and len(longer) > len(shortest) and self.region_of(longer) & numbers:
            return longer
        return shortest

    def region_of(self, extension: str) -> int:
        """The region of an extension, as a set."""
        return 1 << self.number_of(extension)

    def number_of(self, extension: str) -> int:
        """The region of an extension, by number."""
        return self._regions[self._walk.state_of(extension)]

    def sample(self, numbers: int, *, most: int = 3) -> Sample:
        """Examples and counts of a set's extensions that can be dialled."""
        bits = bits_of(numbers)
        counts = tuple(sum(row.get(region, 0) for region in bits) for row in self._counts)
        shortest, count = self._shortest(numbers, most)
        return Sample(tuple(shortest), count, counts)

    def regions(self, numbers: int) -> Iterator[int]:
        """Each region of a set, as a set, best examples first."""
        return (1 << region for region in bits_of(numbers))

    @cached_property
    def _counts(self) -> list[dict[int, int]]:
        """The number of extensions that can be dialled, by length and region."""
        rows: list[dict[int, int]] = []
        ways = {0: 1}
        for _ in range(COUNTED_LENGTHS):
            ways = self._walk.further(ways)
            row: dict[int, int] = {}
            for state, count in ways.items():
                region = self._regions[state]
                row[region] = row.get(region, 0) + count
            rows.append(row)
        return rows

    def _shortest(self, numbers: int, most: int) -> tuple[list[str], int]:
        """The first of the shortest extensions of a set, and the number of extensions of that length."""
        walk = self._walk
        layers = [{0: 1}]
        for _ in range(MAX_EXTENSION_LENGTH):
            layers.append(walk.further(layers[-1]))
            hits = {state for state in layers[-1] if numbers >> self._regions[state] & 1}
            if hits:
                return walk.words(len(layers) - 1, hits, most), sum(layers[-1][state] for state in hits)
            if len(layers) > len(walk.rows) + 1:
                break  # every state was passed
        return [], 0


def _numbered(walk: Walk) -> tuple[list[int], list[tuple[int, int]]]:
    """The region of each state (-1: no extension leads there), and for each region its phase and first state."""
    of_accept: dict[int, int] = {}
    first: list[tuple[int, int]] = []
    regions = [-1] * len(walk.rows)
    for phase, order in enumerate(walk.orders):
        for state in order:
            if regions[state] < 0:
                accepts = walk.accepts(state)
                region = of_accept.setdefault(accepts, len(first))
                if region == len(first):
                    first.append((phase, state))
                regions[state] = region
    return regions, first
