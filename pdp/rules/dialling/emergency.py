"""Emergency numbers: whether an extension is an emergency number as a whole, with every way to dial one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.rules.dialling.folding import fold

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

HIDES_CALLER = ("*31#", "#31#")
"""The codes that hide the caller's number everywhere; a country may have more (``Dialling.hides_caller``)."""

_LONGEST = 1024
"""The longest extension, in characters, that is looked at: a longer one is no padded number, but an attack."""


class Emergency:
    """Emergency numbers, and the ways to dial each: ``extension in emergency``.

    There are few numbers and few ways to dial each, so the set of all texts is built beforehand.

    Args:
        numbers: digits.
        outside_line: the digits that may be dialled first, or nothing.
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
        """The length from which digits alone are no emergency number; 0 where there are no numbers."""
        return max(map(len, self._texts)) + 1 if self._texts else 0

    @property
    def texts(self) -> frozenset[str]:
        """The ways to dial the numbers, without separators."""
        return self._texts

    def __contains__(self, extension: str) -> bool:
        """Whether an extension is an emergency number as a whole."""
        return bool(self._texts) and is_among(self._texts, extension)


def is_among(texts: Container[str], extension: str) -> bool:
    """Whether an extension is one of ``texts`` as a whole, with separators and in the digits of any script."""
    if extension in texts:
        return True
    if (extension.isascii() and extension.isalnum()) or len(extension) > _LONGEST:
        return False
    return fold(extension) in texts
