"""Running the automata of a snapshot: from a root and a word to the verdict of the best item that matches.

An *item* is a pattern together with the verdict that the pattern leads to. A profile's items are ranked, best first,
and an automaton returns the verdict of the best item that matches the whole word, or NO_VERDICT. A *word* is an
extension as symbols, followed by END (see ``alphabet``).

A walk passes through *values*, integers of four kinds that their size tells apart:

    0 ≤ value < VERDICT        a block: where the first row starts in ``blocks``
    VERDICT ≤ value < LITERAL  a match state: for any rest, the verdict is ``value - VERDICT``
    LITERAL ≤ value < LEAF     one literal is left: ``value - LITERAL`` is where the record starts in ``literals``
    LEAF ≤ value               some items are left: ``value - LEAF`` is where their record starts in ``leaves``

A block is a small automaton in one range of memory, and mostly the whole of a profile: with many rules, the cost of a
walk is cache misses, not steps. The rows of a block follow each other, with one byte for each symbol and one more, and
a walk enters at the first row. Such a byte is a *cell*:

    0               the dead state: no pattern can match any more
    1 … width       the walk leaves the block: the next value stands that many words before the block's first row
    beyond          another row of the block: that many bytes behind this one

So most walks are short, and stay within a cache line or two. A profile's patterns part within a digit or two; where
only a literal is left, one comparison of the whole word decides. A value never exceeds 30 bits, which is one digit of
a Python integer.

A literal's record is the symbols, END, and the verdict in four bytes. A leaf's record is a count, then for each item,
best first, three words: verdict, kind and length of the program, start of the program. Leaves and literals match the
word from the start: the walk has only excluded all other items. A leaf whose first word has WIDE set holds a whole
profile as a bit-parallel NFA (all states simulated at once, one bit each): the fallback for a rule set whose
deterministic automaton would not fit (see ``builder``).

All tables are read in place; nothing here is built per rule.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pdp.rules.patterns.alphabet import END, STAR

if TYPE_CHECKING:
    from pdp.rules.snapshot.blob import Blob

VERDICT = 1 << 29
LITERAL = 3 << 28
LEAF = 7 << 27
NO_VERDICT = 0

FIXED = 0 << 16
"""Kind of a program: one mask per symbol."""
PREFIX = 1 << 16
"""Kind of a program: one mask per symbol, then any rest; the length does not count the STAR."""
GLOB = 2 << 16
"""Kind of a program: masks and STARs in any order."""
KINDS = 3 << 16
LENGTH = (1 << 16) - 1

WIDE = 1 << 31
"""Marks a wide record: WIDE | count of patterns, offset into ``wide``, bytes of one mask; then each pattern's final
bit, ascending, then each pattern's verdict.
"""

END_BYTE = bytes([END])
NUMBER = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Automaton:
    """The tables of a snapshot that walks read.

    Attributes:
        symbols: 256 bytes, from ASCII code to symbol.
        width: the number of symbols; a row has one byte more.
        blob: the bytes with blocks and literals; a slice is ``bytes``.
        blocks: where in ``blob`` the blocks start.
        ways_out: the blocks' section as words of 32 bits, for the values at the exits of blocks.
        literals: where in ``blob`` the literals start.
        leaves: leaf records, as words of 32 bits.
        programs: the tokens of every pattern, as words of 32 bits.
        wide: the masks of wide records.
    """

    symbols: bytes
    width: int
    blob: Blob
    blocks: int
    ways_out: memoryview
    literals: int
    leaves: memoryview
    programs: memoryview
    wide: memoryview

    def word(self, extension: str) -> bytes:
        """The symbols of an extension, then END; characters beyond ASCII are OTHER, which no pattern names."""
        return extension.encode("ascii", "replace").translate(self.symbols) + END_BYTE

    def run(self, root: int, word: bytes) -> int:
        """The verdict that the automaton at ``root`` reaches with ``word``, or NO_VERDICT."""
        value = self.walk(root, word)
        if value < LITERAL:
            return value - VERDICT
        if value >= LEAF:
            return self.leaf(value, word)
        start = self.literals + value - LITERAL
        end = start + len(word)
        if self.blob[start:end] == word:
            verdict: int = NUMBER.unpack_from(self.blob, end)[0]
            return verdict
        return NO_VERDICT

    def walk(self, value: int, word: bytes) -> int:
        """The value at which a walk from ``value`` leaves the blocks; at END at the latest, where no cell goes on."""
        row = value
        for symbol in word:
            if value >= VERDICT:
                break
            value, row = self.step(value, row, symbol)
        return value

    def step(self, block: int, row: int, symbol: int) -> tuple[int, int]:
        """The value after one symbol, read in a row of a block, and its row: the first row of another block."""
        cell = self.blob[self.blocks + row + symbol]
        if cell > self.width:
            return block, row + cell
        value: int = self.ways_out[(block >> 2) - cell] if cell else VERDICT + NO_VERDICT
        return value, value

    def matches(self, kind: int, program: int, word: bytes) -> bool:
        """Whether one item, given by its kind and program in a leaf, matches ``word``."""
        length = kind & LENGTH
        kind &= KINDS
        tokens = self.programs[program : program + length]
        symbols = word[:-1]
        if kind == GLOB:
            return _glob(tokens, symbols)
        if len(symbols) < length or (kind == FIXED and len(symbols) != length):
            return False
        return all(mask >> symbol & 1 for mask, symbol in zip(tokens, symbols, strict=False))

    def tokens(self, kind: int, program: int) -> tuple[int, ...]:
        """The tokens of one item, given by its kind and program in a leaf."""
        stars = (STAR,) if kind & KINDS == PREFIX else ()
        return *self.programs[program : program + (kind & LENGTH)], *stars

    def leaf(self, value: int, word: bytes) -> int:
        """The verdict of the leaf with this value, or NO_VERDICT."""
        leaves, at = self.leaves, value - LEAF
        count = leaves[at]
        if count & WIDE:
            return self._simulate(at, count - WIDE, word)
        for item in range(at + 1, at + 1 + 3 * count, 3):
            if self.matches(leaves[item + 1], leaves[item + 2], word):
                return leaves[item]
        return NO_VERDICT

    def _simulate(self, at: int, count: int, word: bytes) -> int:
        """The verdict of a wide record: bit n of the state says that the tokens before position n have matched.

        Positions of all patterns stand in one row of bits, those of the best pattern lowest, so one shift advances
        every pattern, and the lowest final bit that is set belongs to the best pattern that matches.
        """
        offset, size = self.leaves[at + 1], self.leaves[at + 2]

        def mask(index: int) -> int:
            return int.from_bytes(self.wide[offset + index * size : offset + (index + 1) * size], "little")

        start, stars, final = mask(0), mask(1), mask(2)
        state = start | (start & stars) << 1
        for symbol in word[:-1]:
            state = (state & mask(3 + symbol)) << 1 | (state & stars)
            state |= (state & stars) << 1
            if not state:
                return NO_VERDICT
        state &= final
        if not state:
            return NO_VERDICT
        finals = self.leaves[at + 3 : at + 3 + count]
        best = bisect_left(finals, (state & -state).bit_length() - 1)
        return self.leaves[at + 3 + count + best]


def _glob(tokens: memoryview, symbols: bytes) -> bool:
    """Whether masks and STARs match all ``symbols``: at a mismatch, the last STAR passed takes one symbol more."""
    token = position = 0
    star = taken = -1
    while position < len(symbols):
        if token < len(tokens) and tokens[token] == STAR:
            star, taken = token, position
            token += 1
        elif token < len(tokens) and tokens[token] >> symbols[position] & 1:
            token += 1
            position += 1
        elif star >= 0:
            taken += 1
            token, position = star + 1, taken
        else:
            return False
    return all(left == STAR for left in tokens[token:])
