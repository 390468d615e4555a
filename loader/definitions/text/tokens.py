"""Common parts of the two readers of text, YAML and JSON."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

MAX_DEPTH = 64
"""Lists and mappings within each other. Definitions need six."""

LONG_LISTS = ("users", "groups", "outcalls", "call_permissions")
"""The lists of a tenant."""

MEMBER_DEPTH = 4
"""Length of the path to a member of a long list: ``tenants``, an index, the list, an index."""

Step: TypeAlias = str | int
Path: TypeAlias = tuple[Step, ...]
"""The path from the top of a document to a value: keys of mappings and indexes of lists."""


class UnreadableError(Exception):
    """A document that cannot be read at all: the tenants are unknown.

    Attributes:
        problem: the fault, without content of the document.
        remedy: the remedy.
        line: counted from 1; None if unknown.
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
    """The kind of a token."""

    OPEN_MAPPING = auto()
    OPEN_LIST = auto()
    CLOSE = auto()
    SCALAR = auto()


Token: TypeAlias = tuple[Kind, str, int]
"""A token of YAML or JSON: kind, text of a scalar, and line, counted from 1.

Whether a scalar is a key follows from the position; keys have a text, values may have one.
"""


def too_deep(line: int | None) -> UnreadableError:
    """The error for a document with more than MAX_DEPTH levels."""
    return UnreadableError(
        f"lists and mappings stand more than {MAX_DEPTH} deep in each other",
        "write it as docs/definitions.md shows",
        line,
    )


def printable(text: str, longest: int = 80) -> str:
    """The text as one line of a message: without control characters, shortened if long."""
    shown = text if len(text) <= longest else f"{text[:longest]}…"
    return shown if shown.isprintable() else ascii(shown)[1:-1]


def path_text(path: Path) -> str:
    """The path in the notation for people: ``tenants[0].users[3].uuid``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{printable(step)}" for step in path).removeprefix(".")
