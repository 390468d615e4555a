"""The walk that tells patterns apart: all patterns at once, one character after the other."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from pdp.rules.model import MAX_EXTENSION_LENGTH
from pdp.rules.patterns.alphabet import DIALABLE, FIRST_GAP, FULL_WIDTH, GAPS, OTHER, STAR, columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_BITS = 4 << 30
"""States times positions: the limit of a walk's memory, half a gigabyte."""

_DIGITS = 10
_DIALLED = 13
"""The number of symbols that are digits, ``*``, ``#`` and ``+``: those below."""
_CHARACTERS = dict(enumerate(DIALABLE))
_CHARACTERS |= {FIRST_GAP + gap: run[0] for gap, run in enumerate(GAPS)} | {OTHER: "A"}
_SYMBOLS = {character: symbol for symbol, character in enumerate(DIALABLE)}
_SYMBOLS |= {character: FIRST_GAP + gap for gap, run in enumerate(GAPS) for character in run}

Tokens = tuple[int, ...]


class TooManyStatesError(Exception):
    """Patterns that would take more than the limit to tell apart.

    Attributes:
        limit: the number of states allowed.
        patterns: the number of patterns.
    """

    def __init__(self, limit: int, patterns: int) -> None:
        self.limit = limit
        self.patterns = patterns
        super().__init__(f"{patterns} patterns take more than {limit:,} states to tell apart")


class Class(NamedTuple):
    """Symbols that no pattern tells apart.

    Attributes:
        symbol: the lowest of these symbols.
        dialled: those that can be dialled, lowest first.
        step: the positions that move on with these symbols.
    """

    symbol: int
    dialled: tuple[int, ...]
    step: int


class Walk:
    """All states that characters lead to, from state 0 before the first character.

    Attributes:
        rows: for each state and each class of symbols, the next state.
        classes: the classes.
        parents: by phase (digits, dialable, any): for each state how a shortest word reaches that state first.
    """

    def __init__(self, patterns: Sequence[Tokens], max_states: int) -> None:
        self._ends: dict[int, int] = {}
        step = [0] * FULL_WIDTH
        self._loop = start = place = 0
        for index, tokens in enumerate(patterns):
            start |= 1 << place
            for token in tokens:
                if token == STAR:
                    self._loop |= 1 << place
                    continue
                for symbol in columns(token):
                    step[symbol] |= 1 << place
                place += 1
            self._ends[place] = index
            place += 1
        self._patterns = len(patterns)
        self.classes = _classes(step)
        self._of_symbol = {symbol: at for at, symbols in self._members(step).items() for symbol in symbols}
        self.rows, self._places = self._build(start, min(max_states, MAX_BITS // max(place, 1)))
        self.parents: list[list[tuple[int, int]]] = []
        self.orders: list[list[int]] = []
        for below in (_DIGITS, _DIALLED, FULL_WIDTH):
            order, parents = self._reach([at for at, class_ in enumerate(self.classes) if class_.symbol < below])
            self.orders.append(order)
            self.parents.append(parents)

    def _members(self, step: Sequence[int]) -> dict[int, list[int]]:
        at_step = {class_.step: at for at, class_ in enumerate(self.classes)}
        members: dict[int, list[int]] = {}
        for symbol in _CHARACTERS:
            members.setdefault(at_step[step[symbol]], []).append(symbol)
        return members

    def _build(self, start: int, limit: int) -> tuple[list[tuple[int, ...]], list[int]]:
        numbers = {start: 0}
        places = [start]
        rows: list[tuple[int, ...]] = []
        loop, steps = self._loop, [class_.step for class_ in self.classes]
        for place in places:  # ``places`` grows in this loop
            stays = place & loop
            row = []
            for step in steps:
                to = (place & step) << 1 | stays
                number = numbers.get(to)
                if number is None:
                    number = numbers[to] = len(places)
                    places.append(to)
                row.append(number)
            rows.append(tuple(row))
            if len(places) > limit:
                raise TooManyStatesError(limit, self._patterns)
        return rows, places

    def _reach(self, classes: Sequence[int]) -> tuple[list[int], list[tuple[int, int]]]:
        """The states that these classes lead to, shortest words first, and how: the state before and the class."""
        rows = self.rows
        parents: list[tuple[int, int]] = [(-1, -1)] * len(rows)
        order: list[int] = []
        layer = [0]
        for _ in range(MAX_EXTENSION_LENGTH):
            found: list[int] = []
            for state in layer:
                row = rows[state]
                for at in classes:
                    to = row[at]
                    if parents[to][0] < 0:
                        parents[to] = (state, at)
                        found.append(to)
            if not found:
                break
            order += found
            layer = found
        return order, parents

    def word(self, phase: int, state: int) -> str:
        """A shortest extension that leads to a state."""
        parents = self.parents[phase]
        characters: list[str] = []
        while True:
            state, at = parents[state]
            characters.append(_CHARACTERS[self.classes[at].symbol])
            if state == 0:
                return "".join(reversed(characters))

    def state_of(self, extension: str) -> int:
        """The state that an extension leads to."""
        state = 0
        for character in extension:
            state = self.rows[state][self._of_symbol[_SYMBOLS.get(character, OTHER)]]
        return state

    def accepts(self, state: int) -> int:
        """The positions of a state where patterns end, as bits."""
        return self._places[state] & self._accept

    @cached_property
    def _accept(self) -> int:
        accept = 0
        for place in self._ends:
            accept |= 1 << place
        return accept

    def languages(self, order: Sequence[tuple[int, int]]) -> list[int]:
        """The set of regions that each pattern matches, given a state of each region."""
        found: list[list[int]] = [[] for _ in range(self._patterns)]
        for region, (_, state) in enumerate(order):
            for place in bits_of(self.accepts(state)):
                found[self._ends[place]].append(region)
        return [set_of(regions, len(order)) for regions in found]

    def further(self, ways: dict[int, int]) -> dict[int, int]:
        """The number of words by state, after one more dialable character."""
        after: dict[int, int] = {}
        dialled = [(at, len(class_.dialled)) for at, class_ in enumerate(self.classes) if class_.dialled]
        for state, count in ways.items():
            row = self.rows[state]
            for at, symbols in dialled:
                to = row[at]
                after[to] = after.get(to, 0) + count * symbols
        return after

    def words(self, length: int, ends: set[int], most: int) -> list[str]:
        """The first dialable words of a length that lead to one of some states, in the order ``0-9 * # +``."""
        alive = [ends]
        for _ in range(length - 1):
            later = alive[-1]
            alive.append({state for state, row in enumerate(self.rows) if not later.isdisjoint(row)})
        by_symbol = sorted((symbol, at) for at, class_ in enumerate(self.classes) for symbol in class_.dialled)
        words: list[str] = []
        ways: list[tuple[int, str]] = [(0, "")]
        while ways and len(words) < most:
            state, word = ways.pop()
            if len(word) == length:
                words.append(word)
                continue
            left = alive[length - len(word) - 1]
            ways += [
                (self.rows[state][at], word + _CHARACTERS[symbol])
                for symbol, at in reversed(by_symbol)
                if self.rows[state][at] in left
            ]
        return words


def _classes(step: Sequence[int]) -> list[Class]:
    members: dict[int, list[int]] = {}
    for symbol in sorted(_CHARACTERS, key=lambda symbol: (symbol == OTHER, symbol)):
        members.setdefault(step[symbol], []).append(symbol)
    return [
        Class(symbols[0], tuple(symbol for symbol in symbols if symbol < _DIALLED), moved)
        for moved, symbols in members.items()
    ]


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
