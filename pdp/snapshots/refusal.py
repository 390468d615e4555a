"""Why something that was published is not taken over, in one of few words and in a sentence."""

from __future__ import annotations

from pdp.rules.errors import (
    SnapshotCorrupt,
    SnapshotError,
    SnapshotForeign,
    SnapshotMisplaced,
    SnapshotTruncated,
    SnapshotUntrusted,
)

CAUSES: tuple[tuple[type[SnapshotError], str], ...] = (
    (SnapshotTruncated, "truncated"),
    (SnapshotForeign, "foreign"),
    (SnapshotCorrupt, "corrupt"),
    (SnapshotUntrusted, "untrusted"),
    (SnapshotMisplaced, "misplaced"),
)


class Refused(Exception):
    """A published pointer or snapshot cannot be used.

    Attributes:
        cause: one of ``RELOAD_CAUSES`` in ``metrics``.
    """

    def __init__(self, cause: str, problem: str) -> None:
        self.cause = cause
        super().__init__(problem)


def cause_of(error: SnapshotError) -> str:
    """The cause of an error, one of ``RELOAD_CAUSES``."""
    return next((cause for kind, cause in CAUSES if isinstance(error, kind)), "unusable")
