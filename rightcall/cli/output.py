"""The output of commands: colours on a terminal, plain text in a pipe, JSON on request.

Names, patterns and messages come from outside. All output for people goes through here, and no unprintable character
reaches a terminal: a newline in a name forges no line, an escape sequence clears no screen.
"""

from __future__ import annotations

import dataclasses
import json
import re
from datetime import datetime
from enum import Enum
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Span, Text
from rich.tree import Tree

from rightcall.client.values import Decision

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rightcall.client.values import Permission

_JSON_ESCAPED = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
"""Characters that JSON leaves unescaped and terminals interpret: more control characters, and marks of direction."""

_UNLIMITED = 1000
"""Columns."""

DECISION_STYLES = {Decision.ALLOW: "bold green", Decision.DENY: "bold red", Decision.CHALLENGE: "bold yellow"}


def escaped(text: str | Text) -> Text:
    """A text with each unprintable character as Python's escape."""
    whole = Text(text) if isinstance(text, str) else text
    if whole.plain.isprintable():
        return whole
    shown = [character if character.isprintable() else ascii(character)[1:-1] for character in whole.plain]
    places = [0, *accumulate(map(len, shown))]
    spans = [Span(places[span.start], places[span.end], span.style) for span in whole.spans]
    return Text("".join(shown), style=whole.style, spans=spans)


class Grid(Table):
    """A table whose cells are escaped; a cell of several lines is a list of texts."""

    def add_row(self, *cells: str | Text | Sequence[str | Text], **options: Any) -> None:  # type: ignore[override] # fewer
        """Adds a row."""
        super().add_row(*map(_cell, cells), **options)


class Branch(Tree):
    """A tree whose labels are escaped."""

    def __init__(self, label: str | Text) -> None:
        super().__init__(escaped(label), guide_style="dim")

    def branch(self, label: str | Text) -> Branch:
        """Adds a branch, and returns that branch."""
        child = Branch(label)
        self.children.append(child)
        return child


def _cell(cell: str | Text | Sequence[str | Text]) -> Text:
    if isinstance(cell, str | Text):
        return escaped(cell)
    return Text("\n").join(map(escaped, cell))


def say(*lines: str | Text) -> None:
    """Prints lines for people, on standard output, unbroken: a search in a pipe needs whole lines."""
    console = Console(highlight=False)
    for line in lines:
        console.print(escaped(line), soft_wrap=True)


def draw(what: Grid | Branch) -> None:
    """Prints a drawing for people, on standard output; in full width if no terminal sets a limit."""
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(what)
        return
    console.width = _UNLIMITED
    with console.capture() as drawn:
        console.print(what)
    for line in drawn.get().splitlines():  # tables fill up their last column
        console.out(line.rstrip(), highlight=False)


def complain(*lines: str | Text) -> None:
    """Prints lines for people, on standard error."""
    console = Console(stderr=True, highlight=False)
    for line in lines:
        console.print(escaped(line), soft_wrap=True)


def print_json(value: object) -> None:
    """Prints for programs: one JSON document, on standard output."""
    text = json.dumps(plain(value), indent=2, ensure_ascii=False)
    Console(highlight=False, markup=False, emoji=False).out(_JSON_ESCAPED.sub(_code, text))


def print_text(text: str) -> None:
    """Prints for programs: a text without unprintable characters but line ends, as it is, on standard output."""
    Console(highlight=False, markup=False, emoji=False).out(text, end="")


def _code(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1]


def plain(value: object) -> object:
    """A value for JSON: dataclasses by field, enumerations by word, times in ISO format."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value if isinstance(value, str) else value.name
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [plain(member) for member in value]
    return value


def decision_text(decision: Decision) -> Text:
    """A decision, coloured."""
    return Text(decision.name, style=DECISION_STYLES[decision])


def permission_text(permission: Permission | None) -> str:
    """A permission's name in sentences."""
    if permission is None:
        return "no permission"
    return f"permission {permission.id}" + (f" ({permission.name})" if permission.name else "")
