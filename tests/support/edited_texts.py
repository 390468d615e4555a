"""Definitions as texts of several forms, and the states of such a text through edits."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import yaml
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

ACME = "54eb71f8-1f4b-4ae4-8730-638062fbe521"
USERS = [f"2c34c282-433e-4bb8-8d56-fec14ff7e1{number:02}" for number in range(10)]
MANY = 40
KEYS = ("users", "groups", "outcalls", "call_permissions")
Form = tuple[str, Any]

FORMS: dict[str, Form] = {
    "one line of JSON": ("f.json", json.dumps),
    "JSON over lines": ("f.json", lambda value: json.dumps(value, indent=1, ensure_ascii=False) + "\n"),
    "YAML": ("f.yaml", lambda value: yaml.safe_dump(value, sort_keys=False)),
    "YAML with short lists in brackets": ("f.yaml", lambda value: yaml.safe_dump(value, default_flow_style=None)),
}


def permission(number: int, **parts: object) -> dict[str, Any]:
    """A permission without a fault."""
    whole = {"id": number, "name": f"größe {number}", "extensions": [f"_00{number}."], "users": [USERS[number % 10]]}
    return {**whole, **parts}


def definitions() -> dict[str, Any]:
    """Definitions of one tenant, with a warning here and there."""
    permissions = [permission(number, **({} if number % 7 else {"extensions": []})) for number in range(1, MANY + 1)]
    groups = [{"id": str(number), "name": f"group {number}", "users": USERS[:number]} for number in range(5)]
    return {
        "tenants": [
            {
                "uuid": ACME,
                "name": "acme",
                "users": [{"uuid": user} for user in USERS],
                "groups": groups,
                "outcalls": [{"id": "7", "name": "world"}],
                "call_permissions": permissions,
            }
        ]
    }


NEW = {"users": {"uuid": ACME}, "groups": {"id": "new"}, "outcalls": {"id": "new"}, "call_permissions": permission(77)}
JSON_PIECES = ["{", "}", "[", "]", ",", ":", '"', "1", "null", "\\", '{"id": 5}', ',{"id": 5}', '"users": []', USERS[0]]
YAML_LINES = ["  - id: 5\n", "    - id: 5\n", "    groups:\n", "---\n", "...\n", "-\n", "|\n", "|+\n", "# x\n", "\n\n"]
YAML_PIECES = [
    ": ",
    "- ",
    "  - ",
    "#",
    "'",
    "&a ",
    "*a",
    "!!str ",
    ">-",
    "? ",
    "\t",
    "\r\n",
    "\n",
    "  ",
    "\u2028",
    "\ufeff",
]
PIECES = st.sampled_from(["", "é", USERS[1], *JSON_PIECES, *YAML_LINES, *YAML_PIECES])
SPLICES = st.tuples(st.integers(0, 10_000), st.sampled_from([0, 0, 1, 2, 8, 40]), PIECES)
LINES = st.tuples(st.integers(0, 10_000), st.integers(0, 5), st.integers(0, 10_000))
MEMBERS = st.tuples(st.sampled_from(KEYS), st.integers(0, 100), st.sampled_from(["pop", "copy", "turn", "new"]))
STEPS = st.lists(
    st.tuples(st.just("bytes"), SPLICES)
    | st.tuples(st.just("lines"), LINES)
    | st.tuples(st.just("members"), MEMBERS)
    | st.tuples(st.just("undo"), st.integers(0, 9)),
    min_size=1,
    max_size=6,
)


def spliced(text: str, at: int, size: int, piece: str) -> str:
    """The text with another piece somewhere."""
    at %= len(text) + 1
    return text[:at] + piece + text[at + size :]


def lines_moved(text: str, at: int, count: int, to: int) -> str:
    """The text with some lines elsewhere."""
    lines = text.split("\n")
    at %= len(lines)
    moved, rest = lines[at : at + count], lines[:at] + lines[at + count :]
    to %= len(rest) + 1
    return "\n".join(rest[:to] + moved + rest[to:])


def members_changed(value: dict[str, Any], key: str, at: int, how: str) -> dict[str, Any]:
    """The definitions with another member in a list, one less, or in another order."""
    value = deepcopy(value)
    members = value["tenants"][0][key]
    at %= len(members) + 1
    if how == "pop":
        del members[at : at + 1]
    elif how == "turn":
        members[:] = members[at:] + members[:at]
    else:
        members.insert(at, deepcopy(members[at % len(members)] if how == "copy" and members else NEW[key]))
    return value


def texts_of(write: Callable[[object], str], steps: list[tuple[str, Any]]) -> list[str]:
    """The states of a text through some edits."""
    value = definitions()
    value["tenants"].append({"uuid": USERS[0], "users": [{"uuid": USERS[9]}], "outcalls": [{"id": "1"}, {"id": "1"}]})
    del value["tenants"][0]["call_permissions"][8:]
    texts = [write(value)]
    for kind, step in steps:
        if kind == "bytes":
            texts.append(spliced(texts[-1], *step))
        elif kind == "lines":
            texts.append(lines_moved(texts[-1], *step))
        elif kind == "members":
            value = members_changed(value, *step)
            texts.append(write(value))
        else:
            texts.append(texts[-1 - step % len(texts)])
    return texts
