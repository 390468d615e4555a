"""A clock that a test moves."""

from __future__ import annotations


class Clock:
    """Seconds that stand still until a test adds some."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        """The time."""
        return self.now
