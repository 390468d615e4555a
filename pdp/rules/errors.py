"""The errors of the shared core. The tree is closed: nothing else leaves ``pdp.rules`` on bad input.

RulesError
├── PatternError               a pattern that means nothing: where, and what to write instead
├── CostError                  rules that would take too long to compile or to decide by: which permission, and why
└── SnapshotError              bytes that are no usable snapshot
    ├── SnapshotTruncated      fewer bytes than the header announces
    ├── SnapshotForeign        not a snapshot, or of a format version that this release does not read
    ├── SnapshotCorrupt        the checksum differs, or a section lies outside the blob
    ├── SnapshotUntrusted      no signature, or one made with a key that this deployment does not hold
    └── SnapshotMisplaced      signed for another deployment, another prefix or another tenant
"""

from __future__ import annotations

SHOWN_PATTERN_LENGTH = 128
"""Characters of a faulty pattern that a message repeats."""


class RulesError(Exception):
    """Root of what ``pdp.rules`` raises on bad input."""


class PatternError(RulesError):
    """An invalid pattern.

    Attributes:
        pattern: the pattern in the definitions.
        position: index of the first character at fault, counted from 0.
        problem: the fault, without position.
        remedy: the text to write instead.
    """

    def __init__(self, pattern: str, position: int, problem: str, remedy: str) -> None:
        self.pattern = pattern
        self.position = position
        self.problem = problem
        self.remedy = remedy
        shown = repr(pattern) if len(pattern) <= SHOWN_PATTERN_LENGTH else f"{pattern[:SHOWN_PATTERN_LENGTH]!r}…"
        super().__init__(f"pattern {shown}, character {position + 1}: {problem}; {remedy}")


class CostError(RulesError):
    """Rules that would take too long to compile or to decide by. The reader keeps the rules in force.

    Attributes:
        permission: the id of the permission that costs most; None if no single one does.
        problem: the excess.
        remedy: the change that makes the rules cheaper.
    """

    def __init__(self, permission: int | None, problem: str, remedy: str) -> None:
        self.permission = permission
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"permission {permission}: {problem}; {remedy}" if permission else f"{problem}; {remedy}")


class SnapshotError(RulesError):
    """Bytes that are no usable snapshot. The reader keeps the snapshot that is loaded."""


class SnapshotTruncated(SnapshotError):
    """Fewer bytes than the header announces.

    Attributes:
        expected: bytes announced.
        got: bytes there are.
    """

    def __init__(self, expected: int, got: int) -> None:
        self.expected = expected
        self.got = got
        super().__init__(f"snapshot of {expected} bytes ends after {got}; fetch or publish it again")


class SnapshotForeign(SnapshotError):
    """Not a snapshot, or of a format version that this release does not read.

    Attributes:
        expected: the magic or version that this release reads.
        got: the one found.
    """

    def __init__(self, what: str, expected: object, got: object) -> None:
        self.expected = expected
        self.got = got
        super().__init__(
            f"snapshot {what} is {got!r} where {expected!r} is read; run loader and server from the same release"
        )


class SnapshotCorrupt(SnapshotError):
    """The checksum differs from the content, or a section lies outside the blob."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"snapshot is damaged ({problem}); publish it again")


class SnapshotUntrusted(SnapshotError):
    """No signature, or one made with a key that this deployment does not hold."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"snapshot {problem}; give loader and server the same secret key")


class SnapshotMisplaced(SnapshotError):
    """Signed with a key of ours, for another place: copied from there, by mistake or on purpose.

    Attributes:
        expected: the place where the bytes were found.
        got: the place that the bytes were signed for.
    """

    def __init__(self, what: str, expected: object, got: object) -> None:
        self.expected = expected
        self.got = got
        super().__init__(f"{what} was published for {got}, and was found at {expected}; publish the rules again here")
