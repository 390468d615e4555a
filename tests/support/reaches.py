"""What a reach says about an extension, for tests: its patterns as regular expressions, made apart from the code."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pdp.rules.analysis.reach import Reach

_SPECIAL = {"X": "[0-9]", "Z": "[1-9]", "N": "[2-9]", ".": ".+", "!": ".*", "?": ".", "{": "(?:", "}": ")*", "_": ""}
_PIECE = re.compile(r"\[[^]]*]|.", re.DOTALL)


@lru_cache(maxsize=100_000)
def regex(pattern: str) -> re.Pattern[str]:
    """A pattern in the notation of reaches, as a regular expression."""
    return re.compile("".join(map(_translated, _PIECE.findall(pattern))), re.DOTALL)


def saying(reaches: Iterable[Reach], extension: str) -> list[Reach]:
    """The reach of each pattern that matches an extension; there should be one."""
    return [reach for reach in reaches for one in reach.patterns if regex(one.pattern).fullmatch(extension)]


def _translated(piece: str) -> str:
    if len(piece) > 1:
        negated = piece.startswith("[^")
        return ("[^" if negated else "[") + _members(piece[2 if negated else 1 : -1]) + "]"
    return _SPECIAL.get(piece, re.escape(piece))


def _members(inside: str) -> str:
    """What stands in brackets, one escaped character after the other: a ``-`` is a range between two characters."""
    out: list[str] = []
    at = 0
    while at < len(inside):
        if at + 2 < len(inside) and inside[at + 1] == "-":
            assert inside[at] < inside[at + 2]
            out += map(chr, range(ord(inside[at]), ord(inside[at + 2]) + 1))
            at += 3
        else:
            out.append(inside[at])
            at += 1
    return "".join(map(re.escape, out))
