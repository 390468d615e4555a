"""Descriptions of values of the wrong shape, for authors of definitions."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from loader.definitions.findings import Finding
from loader.definitions.shapes import FAULT
from loader.definitions.text.tokens import Date, Path, path_text, printable

if TYPE_CHECKING:
    from collections.abc import Collection

    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails

_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "model_type": "a mapping",
}
_QUOTABLE = (bool, int, float, Date)


_MOST_KNOWN = 1_000
_LONGEST_WORD = 64


def closest(word: str, known: Collection[str]) -> str:
    """``did you mean '…'?`` or, where nothing is close or the search would take long, nothing."""
    if len(known) > _MOST_KNOWN or len(word) > _LONGEST_WORD:
        return ""
    matches = get_close_matches(word, known, n=1)
    return f"did you mean '{printable(matches[0])}'?" if matches else ""


def findings(error: ValidationError, base: Path, inner: int, shape: type[BaseModel]) -> list[Finding]:
    """Puts all that pydantic found into words; see ``finding``."""
    return [finding(each, base, inner, shape) for each in error.errors(include_url=False)]


def finding(error: ErrorDetails, base: Path, inner: int, shape: type[BaseModel]) -> Finding:
    """Puts one of pydantic's errors into words, without the value of a password.

    Args:
        error: pydantic's error.
        base: the path to the checked value.
        inner: number of steps of the path that the message need not repeat after naming the permission.
        shape: the shape of the checked value; known keys are proposed for an unknown one.
    """
    path = base + error["loc"]
    name = path_text(path[inner:]) or path_text(path)
    kind = error["type"]
    if kind == FAULT:
        context = error["ctx"]
        return Finding(path, context["problem"], context["remedy"])
    if kind == "missing":
        return Finding(path, f"'{name}' is missing", f"add the key '{path[-1]}'")
    if kind == "extra_forbidden":
        keys = shape.model_fields
        remedy = closest(str(path[-1]), keys) or f"use one of {', '.join(keys)}"
        return Finding(path, f"'{name}' is not known here", remedy, key=True)
    if kind == "too_long":
        count, most = error["ctx"]["actual_length"], error["ctx"]["max_length"]
        return Finding(
            path, f"'{name}' has {count} members, more than {most}", "use fewer, as in _089X. for a whole range"
        )
    if kind in _WANTED:
        value = error["input"]
        return Finding(
            path, f"'{name}' must be {_WANTED[kind]}, but is {_got(value)}", _remedy(kind, value, path, shape)
        )
    return Finding(path, f"'{name}' has a key with half a character", "use the keys of the format")


def _got(value: object) -> str:
    """The kind of a value. Never the value: that may be a password, and ``007`` is no longer the written text."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, dict):
        return "a mapping"
    names = {str: "text", int: "a number", float: "a number", list: "a list", Date: "a date"}
    return names[type(value)]


def _remedy(kind: str, value: Any, path: Path, shape: type[BaseModel]) -> str:
    if kind == "string_type":
        return _remedy_for_text(value, path)
    if kind == "int_type":
        return "remove the quotes" if isinstance(value, str) and value.isdecimal() else "write a number such as 12"
    if kind == "bool_type":
        return "write true or false, without quotes"
    if kind == "list_type":
        required = shape.model_fields[str(path[-1])].is_required() if path[-1] in shape.model_fields else False
        if value is not None:
            return "write its members in brackets"
        return "write [] for none" if required else "leave the key out, or write [] for none"
    return "write it as docs/definitions.md shows"


def _remedy_for_text(value: object, path: Path) -> str:
    if path[-1] == "mode":  # whose unquoted no and off are false, and quotes would not help
        return "write allow or deny"
    if isinstance(value, _QUOTABLE):
        return "put quotes round it"
    if value is None and isinstance(path[-1], int):  # what begins with # is a comment
        return "put quotes round it, since # begins a comment; or remove it"
    return "leave it out" if value is None else "write one text"
