"""What the two readers of text, YAML and JSON, share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

MAX_DEPTH = 64
"""Lists and mappings within each other. Definitions need six."""

LONG_LISTS = ("users", "groups", "outcalls", "call_permissions")
"""The lists of a tenant."""

MEMBER_DEPTH = 4
"""Steps to a member of such a list: ``tenants``, an index, the list, an index. So many levels are around it."""

Step: TypeAlias = str | int
Path: TypeAlias = tuple[Step, ...]
"""The way from the top of a document to a value: keys of mappings and indexes of lists."""


class UnreadableError(Exception):
    """A document that cannot be read at all, so that nothing is known of its tenants.

    Attributes:
        problem: what is wrong; no content of the document.
        remedy: what to do.
        line: counted from 1; None where it is not known.
    """

    def __init__(self, problem: str, remedy: str, line: int | None = None) -> None:
        self.problem = problem
        self.remedy = remedy
        self.line = line
        super().__init__(f"{problem}; {remedy}")


@dataclass(frozen=True, slots=True)
class Date:
    """A plain YAML scalar that reads as a date. No key takes one."""


class Kind(Enum):
    """What a token is."""

    OPEN_MAPPING = auto()
    OPEN_LIST = auto()
    CLOSE = auto()
    SCALAR = auto()


Token: TypeAlias = tuple[Kind, str, int]
"""One step through a text, the same for YAML and JSON: what it is, the text of a scalar, the line counted from 1.

Whether a scalar is a key follows from where it stands; the text is there for keys, and may be for values.
"""


def too_deep(line: int | None) -> UnreadableError:
    """The error for a document with more than MAX_DEPTH levels."""
    return UnreadableError(
        f"lists and mappings stand more than {MAX_DEPTH} deep in each other",
        "write it as docs/definitions.md shows",
        line,
    )


def printable(text: str, longest: int = 80) -> str:
    """The text as it may stand in one line of a message: without control characters, and not too long."""
    shown = text if len(text) <= longest else f"{text[:longest]}…"
    return shown if shown.isprintable() else ascii(shown)[1:-1]


def path_text(path: Path) -> str:
    """The path as people write it: ``tenants[0].users[3].uuid``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{printable(step)}" for step in path).removeprefix(".")
