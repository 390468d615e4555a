"""What commands print: colours where a person looks, plain text in a pipe, JSON where a program asks for it."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from rightcall.client.values import Decision

if TYPE_CHECKING:
    from rich.table import Table
    from rich.tree import Tree

    from rightcall.client.values import Permission

_UNLIMITED = 1000
"""Columns."""

DECISION_STYLES = {Decision.ALLOW: "bold green", Decision.DENY: "bold red", Decision.CHALLENGE: "bold yellow"}


def say(line: Text) -> None:
    """Prints a line for people, on standard output. It is not broken: whoever searches a pipe wants it whole."""
    Console(highlight=False).print(line, soft_wrap=True)


def draw(what: Table | Tree) -> None:
    """Prints a drawing for people, on standard output; as wide as it needs to be where no terminal sets a limit."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _UNLIMITED
    console.print(what)


def complain(line: Text) -> None:
    """Prints a line for people, on standard error."""
    Console(stderr=True, highlight=False).print(line, soft_wrap=True)


def print_json(value: object) -> None:
    """Prints for programs: one JSON document, on standard output."""
    Console(highlight=False, markup=False, emoji=False).out(json.dumps(plain(value), indent=2, ensure_ascii=False))


def plain(value: object) -> object:
    """A value as JSON has it: dataclasses by field, enumerations by their words, times in ISO format."""
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
    """A decision, in its colour."""
    return Text(decision.name, style=DECISION_STYLES[decision])


def permission_text(permission: Permission | None) -> str:
    """A permission as sentences name it."""
    if permission is None:
        return "no permission"
    return f"permission {permission.id}" + (f" ({permission.name})" if permission.name else "")
