"""Folding: digits of every script become ASCII's, and separators go."""

from __future__ import annotations

import re
import unicodedata

SEPARATORS = " \u00a0-.()/"
"""Characters between digits that are not dialled."""

_DIALLABLE = re.compile(r"\+?[0-9*#A-D]+")


class Undiallable(ValueError):
    """An extension that cannot be dialled under any rules.

    Attributes:
        extension: the extension of the request.
    """

    def __init__(self, extension: str) -> None:
        self.extension = extension
        super().__init__("the extension holds more than '+' in front, digits, '*', '#', A to D, and separators")


class _Folding(dict[int, int | None]):
    """A table for ``str.translate``: separators from the start, digits of other scripts on their first use."""

    def __missing__(self, code: int) -> int:
        digit = unicodedata.decimal(chr(code), None)
        if digit is None:
            return code
        self[code] = ord("0") + digit
        return ord("0") + digit


_FOLDING = _Folding(dict.fromkeys(map(ord, SEPARATORS)))


def fold(extension: str) -> str:
    """The extension with its digits in ASCII and without separators."""
    return extension.translate(_FOLDING)


def fold_diallable(extension: str) -> str:
    """The extension, folded.

    Raises:
        Undiallable: the folded extension is empty, or has characters other than digits and feature keys.
    """
    folded = fold(extension)
    if _DIALLABLE.fullmatch(folded) is None:
        raise Undiallable(extension)
    return folded
