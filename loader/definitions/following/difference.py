"""The changed part of a text, found by comparing bytes from both ends."""

from __future__ import annotations

_STEPS = (1 << 18, 1 << 12, 1 << 6, 1)
"""Bytes that are compared at once, at the speed of memory, until a piece differs; then smaller ones."""


class Pair:
    """A part of the old text, and the part of the new text that replaced it. Offsets count from the start of each text.

    Args:
        old: the text before.
        start: where the old part begins.
        end: where the old part ends.
        new: the text after.
        new_start: where the new part begins.
        new_end: where the new part ends.
    """

    def __init__(self, old: bytes, start: int, end: int, new: bytes, new_start: int, new_end: int) -> None:
        self._old = old
        self._new = new
        self._starts = start, new_start
        self._ends = end, new_end
        self._size = end - start
        self._longer = new_end - new_start - self._size
        self._common = self._common_start(), self._common_end()

    def changed(self, last: int) -> tuple[int, int]:
        """The bounds of the text that was replaced within the old part.

        Of several possible bounds (of two equal lines, either may be the new one), those that end at ``last`` or before
        are preferred.
        """
        first = min(self._common[0], last, last + self._longer)
        return first, max(self._size - self._common[1], first, first - self._longer)

    def _common_start(self) -> int:
        """Number of equal bytes at the beginning."""
        old, new = self._old, self._new
        one, other = self._starts
        size = min(self._size, self._size + self._longer)
        at = 0
        for step in _STEPS:
            while at + step <= size and old[one + at : one + at + step] == new[other + at : other + at + step]:
                at += step
        return at

    def _common_end(self) -> int:
        """Number of equal bytes at the end."""
        old, new = self._old, self._new
        one, other = self._ends
        size = min(self._size, self._size + self._longer)
        at = 0
        for step in _STEPS:
            while at + step <= size and old[one - at - step : one - at] == new[other - at - step : other - at]:
                at += step
        return at
