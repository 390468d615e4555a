"""The walk that tells patterns apart: all patterns at once, one character after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pdp.rules.analysis.positions import SYMBOLS, Positions
from pdp.rules.effort import CHECKPOINT
from pdp.rules.model import MAX_EXTENSION_LENGTH
from pdp.rules.patterns.alphabet import DIALABLE, FIRST_GAP, FULL_WIDTH, GAPS, OTHER
from pdp.rules.patterns.parser import parse

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from pdp.rules.analysis.positions import Tokens

MAX_BITS = 4 << 30
"""States times positions: the limit of a walk's memory, half a gigabyte."""

_DIGITS = 10
_DIALLED = 13
"""The number of symbols that are digits, ``*``, ``#`` and ``+``: those below."""
CHARACTERS = dict(enumerate(DIALABLE))
CHARACTERS |= {FIRST_GAP + gap: run[0] for gap, run in enumerate(GAPS)} | {OTHER: "A"}
"""A character of each symbol."""


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
    """

    symbol: int
    dialled: tuple[int, ...]


Signature = tuple[int, ...]
"""For each number that a text may be, one or two, the positions where the patterns end that match the number."""


class Graph:
    """All states that characters lead to, from state 0 before the first character.

    Args:
        positions: the positions in all patterns.
        rows: for each state and each class of symbols, the next state.
        classes: the classes.
        of_symbol: the class of each symbol.

    Attributes:
        positions: the same.
        rows: the same.
        classes: the same.
        of_symbol: the same.
        numbers: the patterns by text, as numbers in ``positions``.
        emergency_numbers: the emergency extensions, as well.
        leaves_out: whether some texts that can be dialled have no signature.
        orders: by phase (digits, dialable, any): the states, those with the shortest words first.
        parents: by phase: for each state how a shortest word reaches that state first.
    """

    numbers: dict[str, int]
    emergency_numbers: dict[str, int]
    leaves_out = False

    def __init__(
        self,
        positions: Positions,
        rows: Sequence[Sequence[int]],
        classes: Sequence[Class],
        of_symbol: dict[int, int],
    ) -> None:
        self.positions = positions
        self.rows = rows
        self.classes = classes
        self.of_symbol = of_symbol
        self.parents: list[list[tuple[int, int]]] = []
        self.orders: list[list[int]] = []
        for below in (_DIGITS, _DIALLED, FULL_WIDTH):
            order, parents = self._reach([at for at, class_ in enumerate(classes) if class_.symbol < below])
            self.orders.append(order)
            self.parents.append(parents)

    @property
    def patterns(self) -> int:
        """The number of patterns."""
        return len(self.positions.first)

    def signature(self, state: int) -> Hashable | None:
        """The signature of the texts that lead to a state; None: no such text can be dialled."""
        raise NotImplementedError

    def signature_in(self, walk: Graph, state: int) -> Signature:
        """The signature, if there is one, in a walk that the graph is made of."""
        raise NotImplementedError

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
            characters.append(CHARACTERS[self.classes[at].symbol])
            if state == 0:
                return "".join(reversed(characters))

    def state_of(self, extension: str) -> int:
        """The state that an extension leads to."""
        state = 0
        for character in extension:
            state = self.rows[state][self.of_symbol[SYMBOLS.get(character, OTHER)]]
        return state

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
                (self.rows[state][at], word + CHARACTERS[symbol])
                for symbol, at in reversed(by_symbol)
                if self.rows[state][at] in left
            ]
        return words


class Walk(Graph):
    """The walk over some patterns, which are matched against texts as these are.

    Args:
        texts: the patterns.
        emergency: the emergency extensions.
        max_states: the limit of states.

    Raises:
        TooManyStatesError: the walk has more states.
        PatternError: a pattern is invalid.
    """

    def __init__(self, texts: Iterable[str], emergency: Iterable[str], max_states: int) -> None:
        by_tokens: dict[Tokens, int] = {}
        self.numbers, self.emergency_numbers = (
            {text: by_tokens.setdefault(parse(text).tokens, len(by_tokens)) for text in each}
            for each in (texts, emergency)
        )
        positions = Positions(tuple(by_tokens))
        members: dict[int, list[int]] = {}
        for symbol in sorted(CHARACTERS, key=lambda symbol: (symbol == OTHER, symbol)):
            members.setdefault(positions.moves[symbol], []).append(symbol)
        classes = [
            Class(symbols[0], tuple(each for each in symbols if each < _DIALLED)) for symbols in members.values()
        ]
        of_symbol = {symbol: at for at, symbols in enumerate(members.values()) for symbol in symbols}
        limit = min(max_states, MAX_BITS // max(positions.count, 1))
        rows, self._places = _rows(positions, tuple(members), limit, len(by_tokens))
        super().__init__(positions, rows, classes, of_symbol)

    def signature(self, state: int) -> Signature:
        """The positions of a state where patterns end."""
        return (self.positions.accepted(self._places[state]),)

    def signature_in(self, walk: Graph, state: int) -> Signature:  # noqa: ARG002 - the only walk
        """The same."""
        return self.signature(state)


def _rows(
    positions: Positions, steps: Sequence[int], limit: int, patterns: int
) -> tuple[list[tuple[int, ...]], list[int]]:
    """The next state for each state and class, and the positions of each state."""
    numbers = {positions.start: 0}
    places = [positions.start]
    rows: list[tuple[int, ...]] = []
    loop = positions.loop
    checkpoint = CHECKPOINT.get()
    for place in places:  # ``places`` grows in this loop
        checkpoint()
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
            raise TooManyStatesError(limit, patterns)
    return rows, places
