"""The symbols that automata read: every printable character falls into one of nineteen classes.

Patterns can name the ten digits and ``* # + -``, so each of those is a separate symbol, and all that no pattern can
name is one more, OTHER. Only a range such as ``[#-9]`` reaches characters between those that can be written; these
gaps are three more symbols, for which an automaton has columns only if one of its patterns holds such a range.
"""

from __future__ import annotations

DIALABLE = "0123456789*#+-"
"""The characters that a pattern can name; the index of a character is its symbol."""

OTHER = 14
END = 15
"""The symbol behind the last character of an extension."""

GAPS = ("$%&'()", ",", "./")
"""The characters that ranges can reach and patterns cannot name: from # to *, + to -, and - to 0."""
FIRST_GAP = 16

COMMON_WIDTH = 16
"""Columns of a row without the gaps."""
FULL_WIDTH = 20
"""Columns of a row with the gaps and the mark."""

MARK = "\x01"
"""A character that is in no extension and that no pattern names, for words that the product makes: only tokens that
name the mark match the mark (see ``pdp.rules.dialling``).
"""

_SYMBOLS = {character: symbol for symbol, character in enumerate(DIALABLE)}
_MARK = FIRST_GAP + len(GAPS)
_SYMBOLS_WITH_GAPS = _SYMBOLS | {character: FIRST_GAP + gap for gap, run in enumerate(GAPS) for character in run}

GAP_MASK = sum(1 << FIRST_GAP + gap for gap in range(len(GAPS)))
ANY_MASK = (1 << END) - 1 | GAP_MASK
"""The mask of every symbol except END and the mark."""
MARK_MASK = 1 << _MARK

STAR = 1 << 31
"""The token of a pattern for any number of any characters; not a mask."""


def mask_of(character: str) -> int:
    """The mask (bit n for symbol n) of one character that a pattern can name."""
    return 1 << _SYMBOLS[character]


def mask_of_range(first: str, last: str) -> int:
    """The mask of every character from ``first`` to ``last``, both of which a pattern can name."""
    mask = 0
    for code in range(ord(first), ord(last) + 1):
        mask |= 1 << _SYMBOLS_WITH_GAPS.get(chr(code), OTHER)
    return mask


def symbol_table(*, gaps: bool) -> bytes:
    """256 bytes for ``bytes.translate``: from an ASCII code to the code's symbol.

    Args:
        gaps: whether there are columns for the gaps and for the mark.
    """
    symbols = _SYMBOLS_WITH_GAPS | {MARK: _MARK} if gaps else _SYMBOLS
    return bytes(symbols.get(chr(code), OTHER) for code in range(256))


def columns(mask: int) -> tuple[int, ...]:
    """The symbols of a mask, lowest first."""
    return tuple(symbol for symbol in range(FULL_WIDTH) if mask >> symbol & 1)
