"""Emergency numbers: telling whether an extension is one of them as a whole, with every way to dial it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.rules.dialling.folding import fold

if TYPE_CHECKING:
    from collections.abc import Iterable

HIDES_CALLER = ("*31#", "#31#")
"""What is dialled first everywhere to hide one's number; a country may have more (``Dialling.hides_caller``)."""

_LONGEST = 1024
"""Characters of an extension that is looked at: beyond, it is no number that is padded, but an attack."""


class Emergency:
    """Emergency numbers, and how they may be dialled: ``extension in emergency``.

    There are few of them and few ways to dial each, so all texts are written down beforehand.

    Args:
        numbers: digits.
        outside_line: what may be dialled first, or nothing.
        hides_caller: codes that may stand before a number.
    """

    def __init__(
        self, numbers: Iterable[str], outside_line: str = "", hides_caller: Iterable[str] = HIDES_CALLER
    ) -> None:
        self.numbers = tuple(sorted(set(numbers)))
        codes = ("", *hides_caller)
        starts = {code + line for code in codes for line in ("", outside_line)}
        starts.update(outside_line + code for code in codes)
        self._texts = frozenset(
            start + number + end for start in starts for number in self.numbers for end in ("", "#")
        )

    @property
    def plain_from(self) -> int:
        """Digits that are no emergency number, if they are so many and nothing else; 0 where there are no numbers."""
        return max(map(len, self._texts)) + 1 if self._texts else 0

    @property
    def texts(self) -> frozenset[str]:
        """The ways to dial the numbers, without separators."""
        return self._texts

    def __contains__(self, extension: str) -> bool:
        """Whether an extension is an emergency number as a whole."""
        if extension in self._texts:
            return True
        if not self._texts or (extension.isascii() and extension.isalnum()) or len(extension) > _LONGEST:
            return False
        return fold(extension) in self._texts
