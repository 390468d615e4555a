"""What automata are built from: patterns, numbered place by place, and the tables that ``profiles`` fills.

The tables grow as profiles are added, and remember what they hold: the next compilation of an edited tenant then costs
what the edit touches.
"""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from pdp.rules.model import MAX_PATTERN_LENGTH
from pdp.rules.patterns.alphabet import ANY_MASK, COMMON_WIDTH, END, FULL_WIDTH, STAR, columns, symbol_table
from pdp.rules.snapshot.automaton import FIXED, GLOB, LEAF, LENGTH, LITERAL, NO_VERDICT, PREFIX, VERDICT

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

_WORD = 4
_VALUE = struct.Struct("<I")
_SYMBOL_OF = {1 << symbol: symbol for symbol in range(END)}
LITERALS_END = LEAF - LITERAL - 2 * MAX_PATTERN_LENGTH
"""Where the last literal may start that values can name; blocks and leaves do for those beyond."""
ACCEPTS = 1
"""Flag of a place: an empty rest matches."""
ACCEPTS_ALL = 2
"""Flag of a place: any rest matches."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one profile may cost.

    Attributes:
        rows: rows that it may make, once for every 1,024 patterns that it has; 4,096 rows are some 100 KiB. A row for
            a state of many items counts more than once, since it takes longer to make.
        leaf: items that a leaf may try one by one, once there are no more rows.
    """

    rows: int = 4096
    leaf: int = 16


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
        self.blocks = bytearray()
        self.leaves = array("I")
        self.programs = array("I")
        self.literals = bytearray()
        self.wide = bytearray()
        self.limits = limits
        self.width = FULL_WIDTH if gaps else COMMON_WIDTH
        # The first block leads nowhere: it is what an empty slot of a hash table, all zeros, names as its root.
        self.blocks += bytes(self.width + 1 + -(self.width + 1) % _WORD)
        self._columns: dict[int, tuple[int, ...]] = {}
        # By place: what can be read there and where that leads, the flags, and the pattern that it is a place of.
        # Tuples all the way down: the garbage collector then leaves them alone.
        self.moves: list[tuple[Move, ...]] = []
        self.flags = bytearray()
        self.patterns: list[Program] = []
        # By the tokens of a pattern: its first place.
        self._places: dict[tuple[int, ...], int] = {}
        # Values by what they stand for. Blocks of profiles that ran out of budget are not in here: they lead to a wide
        # record, which is that profile's alone.
        self.shared: dict[State, int] = {}
        self._literal_values: dict[tuple[int, int], int] = {}

    def size(self) -> int:
        """Bytes of the tables."""
        words = len(self.leaves) + len(self.programs)
        return len(self.blocks) + words * _WORD + len(self.literals) + len(self.wide)

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
            self.flags += bytes((ACCEPTS | ACCEPTS_ALL if tokens[-1] == STAR else 0, ACCEPTS))
        return first

    def tokens(self, place: int) -> array[int]:
        """The tokens of a pattern, given by its first place."""
        return self.programs[place : self.programs.index(0, place)]

    def rest(self, place: int) -> int:
        """How many tokens there are from a place to the end of its pattern."""
        program = self.patterns[place]
        return program.first + (program.kind & LENGTH) - place

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

    def block(self, rows: list[bytearray], ways_out: int) -> int | None:
        """Makes a block and returns its value; None where the tables hold as many as values can name.

        Args:
            rows: its cells, a byte a symbol and one more.
            ways_out: how many values lead out of it; ``lead`` sets them.
        """
        start = len(self.blocks) + ways_out * _WORD
        size = len(rows) * (self.width + 1)
        if start + size > VERDICT:
            return None
        self.blocks += bytes(ways_out * _WORD)
        for row in rows:
            self.blocks += row
        self.blocks += bytes(-size % _WORD)
        return start

    def lead(self, block: int, way_out: int, value: int) -> None:
        """Says where a way out of a block leads."""
        _VALUE.pack_into(self.blocks, block - way_out * _WORD, value)

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
