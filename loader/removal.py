"""Removals that are too large to be believed are held back."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_MAX_REMOVAL = 0.5


@dataclass(frozen=True, slots=True)
class RemovalGuard:
    """The limit above which removals are held back: an empty reading of a broken source must not open every line.

    Attributes:
        fraction: of the previous members, 0 to 1; removing more at once is held back. 1: nothing is held back.
    """

    fraction: float = DEFAULT_MAX_REMOVAL

    def holds_back(self, before: int, gone: int, left: int) -> bool:
        """Whether removing ``gone`` of ``before`` is held back. One may always go, unless none would be left."""
        if gone <= 0 or self.fraction >= 1:
            return False
        return left == 0 or (gone > 1 and gone > self.fraction * before)
