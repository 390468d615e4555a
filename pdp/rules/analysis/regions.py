"""Regions: the sets of extensions that no pattern in question tells apart, and sets of extensions as integers.

All patterns are read at once by one walk (see ``positions``, ``walk``). The patterns that end at a state of the walk
say which *region* its extensions are in. A set of extensions is then an integer with one bit per region, and union,
intersection and difference are ``|``, ``&`` and ``& ~``: exact for all extensions of 1 to 128 printable characters, or,
in a tenant with a dialling plan, for all that can be dialled.

Regions are numbered in the order of a walk breadth first: first with digits alone, then with characters that can be
dialled, then with any character. So the lowest bit of a set is its best example: the shortest of digits, where there is
one.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from pdp.rules.analysis.dialled.walk import walk_dialled
from pdp.rules.analysis.joint import JointGraph
from pdp.rules.analysis.positions import bits_of, set_of
from pdp.rules.analysis.walk import Walk
from pdp.rules.dialling import Dialling, DiallingPlan
from pdp.rules.model import MAX_EXTENSION_LENGTH
from pdp.rules.patterns.parser import parse

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence

    from pdp.rules import model
    from pdp.rules.analysis.walk import Graph

MAX_STATES = 200_000
"""The limit of a walk's states; beyond, patterns with a ``.`` or ``!`` inside would take seconds, and then minutes."""
MAX_DIALLED_STATES = 60_000
"""The limit for dialled texts, whose states take more time."""
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


class Asked(NamedTuple):
    """The patterns that extensions are told apart by.

    Attributes:
        texts: the patterns, which are valid.
        emergency: the extensions that are allowed before any rule.
        dialling: the dialling plan of the tenant: patterns match forms of numbers then.
    """

    texts: tuple[str, ...]
    emergency: tuple[str, ...] = ()
    dialling: model.Dialling | None = None


class Regions:
    """The regions of some patterns.

    In a tenant with a dialling plan a region is texts that can be dialled, of which no pattern tells the numbers apart.
    A text that may be two numbers is matched as the first one, and as the second one: the sets of patterns have a
    second half, with one bit more for each such region. Sets of extensions do not; ``extensions`` and ``readings`` turn
    one into the other.

    Args:
        texts: the patterns, which are valid.
        max_states: the limit of the walk's states.
        emergency: as in ``Asked``.
        dialling: as in ``Asked``.

    Attributes:
        texts: the patterns, without repetition.
        count: the number of regions.
        universe: every extension, as a set.
        emergency: the emergency extensions, as a set of readings.
        leaves_out: whether some texts that can be dialled are in no region.

    Raises:
        TooManyStatesError: the walk has more states.
        PatternError: a pattern is invalid.
    """

    def __init__(
        self,
        texts: Iterable[str],
        *,
        max_states: int = MAX_STATES,
        emergency: Iterable[str] = (),
        dialling: model.Dialling | None = None,
    ) -> None:
        asked = Asked(tuple(dict.fromkeys(texts)), tuple(emergency), dialling)
        walk = _walk(asked, max_states)
        self._take(asked, walk, walk, _numbered(walk))

    @classmethod
    def of_versions(cls, versions: Sequence[Asked], *, max_states: int = MAX_STATES) -> list[Regions]:
        """The regions of several versions: one numbering for all, the sets of patterns by version.

        Raises:
            TooManyStatesError: the walk has more states.
        """
        if all(version.dialling == versions[0].dialling for version in versions):
            texts = tuple(dict.fromkeys(text for version in versions for text in version.texts))
            emergency = tuple(text for version in versions for text in version.emergency)
            graph: Graph = _walk(Asked(texts, emergency, versions[0].dialling), max_states)
            walks = [graph] * len(versions)
            versions = [version._replace(texts=texts) for version in versions]
        else:
            walks = [_walk(version, max_states) for version in versions]
            graph = JointGraph(walks, max_states)
        numbered = _numbered(graph)
        found = []
        for version, walk in zip(versions, walks, strict=True):
            regions = cls.__new__(cls)
            regions._take(  # noqa: SLF001 - another way to make one
                version, graph, walk, numbered
            )
            found.append(regions)
        return found

    def _take(self, asked: Asked, graph: Graph, walk: Graph, numbered: _Numbered) -> None:
        """Takes the regions of a graph, with the sets of the patterns of one walk, which may be a part of the graph."""
        self.texts = tuple(dict.fromkeys(asked.texts))
        self._graph = graph
        self._regions, self._first = numbered
        self.count = len(self._first)
        self.universe = (1 << self.count) - 1
        self.leaves_out = walk.leaves_out
        sets, self._seconds = _languages(graph, walk, self._first)
        self._sets = {text: sets[walk.numbers[text]] for text in self.texts}
        self.emergency = 0
        for text in asked.emergency:
            self.emergency |= sets[walk.emergency_numbers[text]]

    @property
    def states(self) -> int:
        """The number of states of the walk."""
        return len(self._graph.rows)

    @property
    def every_reading(self) -> int:
        """Every extension, as a set of readings."""
        return self.universe | self._seconds << self.count

    @property
    def of_two_readings(self) -> int:
        """The readings of the extensions that may be two numbers."""
        return self.readings(self._seconds)

    @property
    def of_one_reading(self) -> int:
        """The extensions that may be one number alone."""
        return self.universe & ~self._seconds

    @property
    def has_two_readings(self) -> bool:
        """Whether some extension may be two numbers."""
        return bool(self._seconds)

    def extensions(self, readings: int) -> int:
        """The extensions that have one of some readings; a set of extensions stays the same."""
        return (readings | readings >> self.count) & self.universe

    def readings(self, extensions: int) -> int:
        """All readings of some extensions."""
        return extensions | (extensions & self._seconds) << self.count

    def covers(self, texts: Iterable[str]) -> bool:
        """Whether all of these patterns are among those that the regions were made from."""
        return all(text in self._sets for text in texts)

    def numbers(self, text: str) -> int:
        """The set of readings that a pattern matches, which is one of those that the regions were made from."""
        return self._sets[text]

    def any_of(self, texts: Iterable[str]) -> int:
        """The set of readings that at least one of some patterns matches."""
        numbers = 0
        for text in texts:
            numbers |= self._sets[text]
        return numbers

    @cached_property
    def named(self) -> dict[int, str]:
        """The sets that are one pattern's, each with the pattern's shortest text."""
        names: dict[int, str] = {}
        for text in sorted(self.texts, key=lambda text: (len(text), text)):
            names.setdefault(self.extensions(self._sets[text]), text)
        return names

    def example(self, numbers: int) -> str:
        """The best example of a set that is not empty: shortest, of digits alone if there is one, else dialable."""
        numbers = self.extensions(numbers)
        phase, state = self._first[(numbers & -numbers).bit_length() - 1]
        return self._graph.word(phase, state)

    def telling(self, numbers: int) -> str:
        """An example of a set that reads like a number that people dial: of ten digits where the set has such a one."""
        shortest = self.example(numbers)
        longer = shortest + _DIGITS[: _TELLING_LENGTH - len(shortest)]
        if shortest.isdecimal() and len(longer) > len(shortest) and self.region_of(longer) & numbers:
            return longer
        return shortest

    def region_of(self, extension: str) -> int:
        """The readings of an extension's region; none where the extension cannot be dialled."""
        region = self._regions[self._graph.state_of(extension)]
        return self.readings(1 << region) if region >= 0 else 0

    def sample(self, numbers: int, *, most: int = 3) -> Sample:
        """Examples and counts of a set's extensions that can be dialled."""
        numbers = self.extensions(numbers)
        bits = bits_of(numbers)
        counts = tuple(sum(row.get(region, 0) for region in bits) for row in self._counts)
        shortest, count = self._shortest(numbers, most)
        return Sample(tuple(shortest), count, counts)

    def regions(self, numbers: int) -> Iterator[int]:
        """Each region of a set, as a set, best examples first."""
        return (1 << region for region in bits_of(self.extensions(numbers)))

    @cached_property
    def _counts(self) -> list[dict[int, int]]:
        """The number of extensions that can be dialled, by length and region."""
        rows: list[dict[int, int]] = []
        ways = {0: 1}
        for _ in range(COUNTED_LENGTHS):
            ways = self._graph.further(ways)
            row: dict[int, int] = {}
            for state, count in ways.items():
                region = self._regions[state]
                row[region] = row.get(region, 0) + count
            rows.append(row)
        return rows

    def _shortest(self, numbers: int, most: int) -> tuple[list[str], int]:
        """The first of the shortest extensions of a set, and the number of extensions of that length."""
        walk = self._graph
        layers = [{0: 1}]
        for _ in range(MAX_EXTENSION_LENGTH):
            layers.append(walk.further(layers[-1]))
            hits = {state for state in layers[-1] if self._regions[state] >= 0 and numbers >> self._regions[state] & 1}
            if hits:
                return walk.words(len(layers) - 1, hits, most), sum(layers[-1][state] for state in hits)
            if len(layers) > len(walk.rows) + 1:
                break  # every state was passed
        return [], 0


_Numbered = tuple[list[int], list[tuple[int, int]]]
"""The region of each state (-1: no extension leads there), and for each region its phase and first state."""


def _numbered(graph: Graph) -> _Numbered:
    of_signature: dict[Hashable, int] = {}
    first: list[tuple[int, int]] = []
    regions = [-1] * len(graph.rows)
    for phase, order in enumerate(graph.orders):
        for state in order:
            if regions[state] >= 0 or (signature := graph.signature(state)) is None:
                continue
            region = of_signature.setdefault(signature, len(first))
            if region == len(first):
                first.append((phase, state))
            regions[state] = region
    return regions, first


def _languages(graph: Graph, walk: Graph, first: Sequence[tuple[int, int]]) -> tuple[list[int], int]:
    """The set of readings that each pattern of a walk matches, and the extensions that have two readings."""
    count = len(first)
    found: list[list[int]] = [[] for _ in range(walk.patterns)]
    seconds = 0
    for region, (_, state) in enumerate(first):
        for at, accepted in enumerate(graph.signature_in(walk, state)):
            seconds |= at << region
            for pattern in walk.positions.patterns(accepted):
                found[pattern].append(region + at * count)
    return [set_of(regions, 2 * count) for regions in found], seconds


def _walk(asked: Asked, max_states: int) -> Graph:
    dialling = asked.dialling
    if dialling is None:
        return Walk(asked.texts, asked.emergency, max_states)
    plan = DiallingPlan(dialling.table, [(text, parse(text).tokens) for text in asked.texts])
    return walk_dialled(
        Dialling(memoryview(plan.section)), asked.texts, asked.emergency, min(max_states, MAX_DIALLED_STATES)
    )
