"""The material of automata: patterns, numbered position by position, and the tables that ``profiles`` fills.

The tables grow as profiles are added, and index their contents: the next compilation of an edited tenant then costs
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
"""A verdict, and the position that the match of its pattern has reached.

Positions number the tokens of all patterns, and the end of each: indices into ``AutomatonBuilder.programs``. The
verdict tells the rank, so that items of equal verdicts are ranked equally, also those of different permissions.
"""
Move: TypeAlias = tuple[tuple[int, ...], int]
"""The columns of the symbols that can be read, and the position after reading one."""
State: TypeAlias = tuple[Item, ...]
"""The items that are alive, best first."""

DEAD = VERDICT + NO_VERDICT
"""The dead state: the value of a walk that no match can follow."""

_WORD = 4
_VALUE = struct.Struct("<I")
_SYMBOL_OF = {1 << symbol: symbol for symbol in range(END)}
LITERALS_END = LEAF - LITERAL - 2 * MAX_PATTERN_LENGTH
"""The offset of the last literal that values can name; blocks and leaves hold the literals beyond."""
ACCEPTS = 1
"""Flag of a position: an empty rest matches."""
ACCEPTS_ALL = 2
"""Flag of a position: any rest matches."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one profile.

    Attributes:
        rows: the number of rows for every 1,024 patterns, or part of that; 4,096 rows are some 100 KiB. A row for a
            state of many items counts more than once, since the row takes longer to make.
        leaf: items that a leaf may try one by one, once there are no more rows.
    """

    rows: int = 4096
    leaf: int = 16


class Program(NamedTuple):
    """A pattern in the form of leaves, and the symbols of a literal."""

    kind: int
    first: int
    symbols: bytes | None


class AutomatonBuilder:
    """Grows the tables; a part that was built never changes or moves.

    Args:
        gaps: whether any pattern holds a range that reaches beyond what patterns can name.
        limits: the limits of one profile.
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
        # The first block is the dead state, the root that an empty slot of a hash table, all zeros, names.
        self.blocks += bytes(self.width + 1 + -(self.width + 1) % _WORD)
        self._columns: dict[int, tuple[int, ...]] = {}
        # By position: the moves from there, the flags, and the pattern of the position.
        # Tuples all the way down: the garbage collector then leaves those alone.
        self.moves: list[tuple[Move, ...]] = []
        self.flags = bytearray()
        self.patterns: list[Program] = []
        # By the tokens of a pattern: its first position.
        self._places: dict[tuple[int, ...], int] = {}
        # Values by state. Blocks of profiles that ran out of budget are not in here: such blocks lead to a wide
        # record, which is that profile's alone.
        self.shared: dict[State, int] = {}
        self._literal_values: dict[tuple[int, int], int] = {}

    def size(self) -> int:
        """Bytes of the tables."""
        words = len(self.leaves) + len(self.programs)
        return len(self.blocks) + words * _WORD + len(self.literals) + len(self.wide)

    def pattern(self, tokens: tuple[int, ...]) -> int:
        """The first position of a pattern, given by its tokens."""
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
        """The tokens of a pattern, given by its first position."""
        return self.programs[place : self.programs.index(0, place)]

    def rest(self, place: int) -> int:
        """The number of tokens from a position to the end of its pattern."""
        program = self.patterns[place]
        return program.first + (program.kind & LENGTH) - place

    def literal(self, item: Item) -> int | None:
        """The value of a state in which only this item is left, if the item's pattern is a literal."""
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
        """Makes a block and returns the block's value; None where the tables hold as many as values can name.

        Args:
            rows: the block's cells, a byte per symbol and one more.
            ways_out: the number of the block's exits, whose values ``lead`` sets.
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
        """Sets the value that an exit of a block leads to."""
        _VALUE.pack_into(self.blocks, block - way_out * _WORD, value)

    def _moves(self, tokens: tuple[int, ...], first: int) -> Iterable[tuple[Move, ...]]:
        """The moves from each position of a pattern, which starts at ``first``."""
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
    """Kind and length of a pattern's program (see ``automaton``)."""
    if STAR not in tokens:
        return FIXED | len(tokens)
    if tokens.index(STAR) == len(tokens) - 1:
        return PREFIX | len(tokens) - 1
    return GLOB | len(tokens)
