"""Building automata: from ranked items to the rows and leaves that ``automaton`` runs.

Subset construction, with the state space kept small by three things. A state is the ranked tuple of the items that are
still alive and how far each has come; what a better item makes irrelevant is dropped from it (the same pattern at the
same place with a worse verdict; everything ranked below an item that accepts whatever follows). A state in which one
literal is left needs no rows: a comparison tells the rest. And states are shared by all profiles of a builder, whose
memory of them also makes the next compilation of an edited tenant cost what the edit touches.

A profile has a budget of rows (``Limits``). Rows are made breadth first, so when the budget ends, the first digits
have done their part: what is left alive then becomes a leaf that tries its items one by one, where they are few, and
otherwise the whole profile's wide record. Either answers exactly as rows would.
"""

from __future__ import annotations

from array import array
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from pdp.rules.alphabet import ANY_MASK, COMMON_WIDTH, END, FULL_WIDTH, STAR, columns, symbol_table
from pdp.rules.automaton import FIXED, GLOB, LEAF, LITERAL, NO_VERDICT, PREFIX, VERDICT, WIDE
from pdp.rules.model import MAX_PATTERN_LENGTH

if TYPE_CHECKING:
    from collections.abc import Iterable

Item: TypeAlias = tuple[int, int]
"""A verdict, and the place to which the match of its pattern has come.

Places number the tokens of all patterns, and the end of each: they are indices into ``AutomatonBuilder.programs``. The
verdict tells the rank, so that items of equal verdicts are ranked equally wherever they come from.
"""
Move: TypeAlias = tuple[tuple[int, ...], int]
"""The columns of what can be read, and the place to which that leads."""
State: TypeAlias = tuple[Item, ...]
"""The items that are alive, best first."""

NOTHING = VERDICT + NO_VERDICT
"""The value of a walk that nothing can match any more."""

_SYMBOL_OF = {1 << symbol: symbol for symbol in range(END)}
LITERALS_END = LEAF - LITERAL - 2 * MAX_PATTERN_LENGTH
"""Where the last literal may start that values can name; rows and leaves do for those beyond."""
_ACCEPTS = 1
"""Flag of a place: an empty rest matches."""
_ACCEPTS_ALL = 2
"""Flag of a place: any rest matches."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one profile may cost.

    Attributes:
        rows: rows that it may make, once for every 1,024 patterns that it has; 4,096 rows are 256 KiB. A row for a
            state of many items counts more than once, since it takes longer to make.
        leaf: items that a leaf may try one by one, once there are no more rows.
    """

    rows: int = 4096
    leaf: int = 16


_PATTERNS_A_BUDGET = 1024
_ITEMS_A_ROW = 32
"""Items that a state may have for its row to count once: so the work, too, is in proportion to the patterns."""


class Program(NamedTuple):
    """A pattern as leaves hold it, and its symbols where it is a literal."""

    kind: int
    first: int
    symbols: bytes | None


class AutomatonBuilder:
    """Grows the tables; nothing that was built ever changes or moves.

    Args:
        gaps: whether any pattern holds a range that reaches beyond what patterns can name.
        limits: what one profile may cost.
    """

    def __init__(self, *, gaps: bool, limits: Limits) -> None:
        self.symbols = symbol_table(gaps=gaps)
        self.rows = array("I")
        self.leaves = array("I")
        self.programs = array("I")
        self.literals = bytearray()
        self.wide = bytearray()
        self.limits = limits
        self.width = FULL_WIDTH if gaps else COMMON_WIDTH
        self._blank = array("I", [NOTHING] * self.width)
        # The first row leads nowhere: it is what an empty slot of a hash table, all zeros, names as its root.
        self.rows.extend(self._blank)
        self._columns: dict[int, tuple[int, ...]] = {}
        # By place: what can be read there and where that leads, the flags, and the pattern that it is a place of.
        # Tuples all the way down: the garbage collector then leaves them alone.
        self.moves: list[tuple[Move, ...]] = []
        self.flags = bytearray()
        self.patterns: list[Program] = []
        # By the tokens of a pattern: its first place.
        self._places: dict[tuple[int, ...], int] = {}
        # Values by what they stand for. Rows of profiles that ran out of budget are not in here: they lead to a wide
        # record, which is that profile's alone.
        self.shared: dict[State, int] = {}
        self._literal_values: dict[tuple[int, int], int] = {}

    def size(self) -> int:
        """Bytes of the tables."""
        words = len(self.rows) + len(self.leaves) + len(self.programs)
        return words * self.rows.itemsize + len(self.literals) + len(self.wide)

    def pattern(self, tokens: tuple[int, ...]) -> int:
        """The first place of a pattern, given by its tokens."""
        first = self._places.get(tokens)
        if first is None:
            first = self._places[tokens] = len(self.programs)
            self.programs.extend((*tokens, 0))
            program = Program(_kind(tokens), first, _literal(tokens))
            self.patterns += [program] * (len(tokens) + 1)
            self.moves += self._moves(tokens, first)
            self.flags += bytes(len(tokens) - 1)
            self.flags += bytes((_ACCEPTS | _ACCEPTS_ALL if tokens[-1] == STAR else 0, _ACCEPTS))
        return first

    def build(self, items: list[tuple[int, int, int]]) -> int:
        """The root of a profile.

        Args:
            items: of each pattern its rank (lower is better), verdict (> 0, one to one with the rank), and first place.
        """
        return _Profile(self, tuple((verdict, place) for _, verdict, place in sorted(items))).root

    def tokens(self, place: int) -> array[int]:
        """The tokens of a pattern, given by its first place."""
        return self.programs[place : self.programs.index(0, place)]

    def literal(self, item: Item) -> int | None:
        """The value of a state in which only this item is left, if its pattern is a literal."""
        verdict, place = item
        program = self.patterns[place]
        if program.symbols is None or len(self.literals) > LITERALS_END:
            return None
        key = (verdict, program.first)
        value = self._literal_values.get(key)
        if value is None:
            value = self._literal_values[key] = LITERAL + len(self.literals)
            self.literals += program.symbols + verdict.to_bytes(4, "little")
        return value

    def columns(self, mask: int) -> tuple[int, ...]:
        """The columns of a token."""
        found = self._columns.get(mask)
        if found is None:
            symbols = columns(ANY_MASK if mask == STAR else mask)
            found = self._columns[mask] = tuple(column for column in symbols if column < self.width)
        return found

    def row(self) -> int | None:
        """Makes a row and returns where it starts; None where the tables hold as many as values can name."""
        start = len(self.rows)
        if start + self.width > VERDICT:
            return None
        self.rows.extend(self._blank)
        return start

    def _moves(self, tokens: tuple[int, ...], first: int) -> Iterable[tuple[Move, ...]]:
        """What can be read at each place of a pattern, which starts at ``first``."""
        columns = [self.columns(token) for token in tokens]
        for position, token in enumerate(tokens):
            place = first + position
            if token != STAR:
                yield ((columns[position], place + 1),)
            elif position + 1 == len(tokens):
                yield ((columns[position], place),)
            else:
                yield (columns[position], place), (columns[position + 1], place + 2)
        yield ()


class _Profile:
    """The construction of one profile's automaton."""

    def __init__(self, builder: AutomatonBuilder, start: State) -> None:
        self._builder = builder
        self._start = start
        self._budget = builder.limits.rows * (1 + len(start) // _PATTERNS_A_BUDGET)
        self._states: dict[State, int] = {}
        self._queue: deque[tuple[int, State]] = deque()
        self._wide: int | None = None
        self.root = self._value(start)
        while self._queue:
            start_of_row, state = self._queue.popleft()
            if len(state) == 1 and len(builder.moves[state[0][1]]) == 1:
                self._fill_chain(start_of_row, *state[0])
            else:
                self._fill(start_of_row, state)
        if self._wide is None:
            builder.shared.update(self._states)

    def _value(self, state: State) -> int:
        """The value of a state that is not empty."""
        if len(state) > 1:
            state = self._prune(state)
        value = self._states.get(state)
        if value is None:
            value = self._builder.shared.get(state)
        return self._new_value(state) if value is None else value

    def _prune(self, state: State) -> State:
        """The state without the items that a better one makes irrelevant."""
        flags = self._builder.flags
        kept: list[Item] = []
        seen: set[int] = set()
        for item in state:
            place = item[1]
            if place not in seen:
                seen.add(place)
                kept.append(item)
                if flags[place] & _ACCEPTS_ALL:
                    break
        return tuple(kept)

    def _new_value(self, state: State) -> int:
        builder = self._builder
        if len(state) == 1:
            verdict, place = state[0]
            if builder.flags[place] & _ACCEPTS_ALL:
                return VERDICT + verdict
            literal = builder.literal(state[0])
            if literal is not None:
                return literal
        cost = 1 + len(state) // _ITEMS_A_ROW
        start = builder.row() if self._budget >= cost else None
        if start is None:
            return self._without_rows(state)
        self._budget -= cost
        self._states[state] = start
        self._queue.append((start, state))
        return start

    def _fill_chain(self, start: int, verdict: int, place: int) -> None:
        """Sets the values of a row from which one item goes on to one place: the end of most walks."""
        ((symbols, then),) = self._builder.moves[place]
        value = self._value(((verdict, then),))
        rows = self._builder.rows
        for symbol in symbols:
            rows[start + symbol] = value

    def _fill(self, start: int, state: State) -> None:
        """Sets the values of a row."""
        moves, flags, rows = self._builder.moves, self._builder.flags, self._builder.rows
        after: dict[int, list[Item]] = {}
        for verdict, place in state:
            for symbols, then in moves[place]:
                moved = (verdict, then)
                for symbol in symbols:
                    if symbol in after:
                        after[symbol].append(moved)
                    else:
                        after[symbol] = [moved]
        values: dict[State, int] = {}
        for symbol, alive in after.items():
            key = tuple(alive)
            if key not in values:
                values[key] = self._value(key)
            rows[start + symbol] = values[key]
        for verdict, place in state:
            if flags[place] & _ACCEPTS:
                rows[start + END] = VERDICT + verdict
                break

    def _without_rows(self, state: State) -> int:
        """The value of a state for which there is no row: a leaf that tries its items, or the whole profile's."""
        builder = self._builder
        if len(state) > builder.limits.leaf:
            if self._wide is None:
                self._wide = _widen(builder, self._start)
            return self._wide
        value = self._states[state] = LEAF + len(builder.leaves)
        builder.leaves.append(len(state))
        for verdict, place in state:
            program = builder.patterns[place]
            builder.leaves.extend((verdict, program.kind, program.first))
        return value


def _literal(tokens: tuple[int, ...]) -> bytes | None:
    """The symbols of a pattern that matches one extension only, and END; None for any other pattern."""
    symbols = [_SYMBOL_OF.get(token, END) for token in tokens]
    return None if END in symbols else bytes((*symbols, END))


def _kind(tokens: tuple[int, ...]) -> int:
    """Kind and length of a pattern's program, as ``automaton`` tells them."""
    if STAR not in tokens:
        return FIXED | len(tokens)
    if tokens.index(STAR) == len(tokens) - 1:
        return PREFIX | len(tokens) - 1
    return GLOB | len(tokens)


def _widen(builder: AutomatonBuilder, items: State) -> int:
    """The value of a wide record for a whole profile, given by the first places of its patterns (see ``automaton``)."""
    programs = [builder.tokens(place) for _, place in items]
    size = (sum(map(len, programs)) + len(programs) + 7) // 8
    masks = [bytearray(size) for _ in range(3 + builder.width)]
    starts, stars, final, *symbols = masks
    finals: list[int] = []
    at = 0
    for tokens in programs:
        _set_bit(starts, at)
        for token in tokens:
            if token == STAR:
                _set_bit(stars, at)
            else:
                for symbol in builder.columns(token):
                    _set_bit(symbols[symbol], at)
            at += 1
        _set_bit(final, at)
        finals.append(at)
        at += 1
    value = LEAF + len(builder.leaves)
    builder.leaves.extend((WIDE | len(items), len(builder.wide), size, *finals, *(verdict for verdict, _ in items)))
    for mask in masks:
        builder.wide.extend(mask)
    return value


def _set_bit(mask: bytearray, bit: int) -> None:
    mask[bit >> 3] |= 1 << (bit & 7)
