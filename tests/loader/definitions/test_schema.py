"""The schema for editors agrees with the check of definitions, as far as a schema can say it."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

from jsonschema import Draft7Validator  # type: ignore[import-untyped] # it has no types

from loader.definitions.document import check_document
from loader.definitions.schema import definitions_schema
from loader.faults import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

ALICE = "a11ce000-0000-4000-8000-000000000001"
WRONG: tuple[Any, ...] = (
    None,
    True,
    7,
    1.5,
    "",
    "x",
    "_[1-",
    "no-premium",
    "112",
    [],
    ["x"],
    [7],
    {},
    {"x": 1},
    "1" * 200,
)
BEYOND = ("there is no ", "already", "pattern '", "is no country", "repeats", "an alias is a UUID", "printable")
"""Words of faults that no schema tells: of relations, and of what is inside a text."""


def document() -> dict[str, Any]:
    """A document with every key of the format."""
    people = {"users": [ALICE], "groups": ["7"]}
    expectation = {"name": "e", "who": "everyone", "dial": ["112"], "through": ["3"], "must": "allow", "enforce": False}
    tenant = {
        "uuid": "fe500000-0000-4000-8000-000000000001",
        "name": "acme",
        "users": [
            {
                "uuid": ALICE,
                "name": "Ada",
                "extension": "101",
                "id": 7,
                "aliases": ["ada"],
                "call_permission_password": "4242",
            }
        ],
        "groups": [{"id": "7", "name": "sales", "enabled": True, "users": [ALICE]}],
        "outcalls": [{"id": "3", "name": "world"}],
        "call_permissions": [
            {
                "id": 1,
                "name": "abroad",
                "description": "With a PIN.",
                "mode": "deny",
                "password": "1234",
                "enabled": True,
                "extensions": ["_00."],
                **people,
                "outcalls": ["3"],
            }
        ],
        "expectations": [
            expectation,
            {**expectation, "name": "few", "who": people, "through": "none", "must": ["allow", "deny"]},
            {**expectation, "name": "others", "who": {"all_except": people}, "through": "any"},
        ],
        "lint": [{"ignore": "short-pin", "reason": "Meant.", "permissions": [1]}],
        "emergency": {"numbers": ["112"], "country": "FR"},
        "dialling": {"country": "FR", "outside_line": "0"},
    }
    return {"tenants": [tenant]}


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths to all values."""
    if path:
        yield path
    for key, member in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield from paths(member, (*path, key))


def edits() -> Iterator[dict[str, Any]]:
    """The document with each value replaced by wrong ones, left out, or with a key beside it."""
    whole = document()
    for path in paths(whole):
        for wrong in (*WRONG, "gone", "more"):
            edited = copy.deepcopy(whole)
            parent: Any = edited
            for step in path[:-1]:
                parent = parent[step]
            if wrong == "gone":
                del parent[path[-1]]
            elif wrong == "more":
                if not isinstance(parent[path[-1]], dict):
                    continue
                parent[path[-1]]["colour"] = "red"
            else:
                parent[path[-1]] = wrong
            yield edited


def test_the_schema_takes_what_the_check_takes_and_no_more() -> None:
    """For each value of a document with every key, replaced by values of other kinds."""
    validator = Draft7Validator(definitions_schema())
    Draft7Validator.check_schema(definitions_schema())
    assert validator.is_valid(document())
    taken = refused = 0
    for edited in edits():
        checked = check_document("f.json", json.dumps(edited).encode())
        faults = [str(fault) for fault in checked.faults if fault.severity is Severity.ERROR]
        valid = validator.is_valid(edited)
        if not faults:
            taken += 1
            assert valid, [error.message for error in validator.iter_errors(edited)]
        elif not all(any(words in fault for words in BEYOND) for fault in faults):
            refused += 1
            assert not valid, faults
    assert taken > 50
    assert refused > 500


def test_each_key_of_the_format_is_in_the_document_of_this_test() -> None:
    """So a new key is tested too."""
    found: dict[str, set[str]] = {}
    whole = document()["tenants"][0]
    for name, members in (
        ("TenantShape", [whole]),
        ("UserShape", whole["users"]),
        ("GroupShape", whole["groups"]),
        ("OutcallShape", whole["outcalls"]),
        ("PermissionShape", whole["call_permissions"]),
        ("ExpectationShape", whole["expectations"]),
        ("IgnoredShape", whole["lint"]),
        ("EmergencyShape", [whole["emergency"]]),
        ("DiallingShape", [whole["dialling"]]),
    ):
        found[name] = {key for member in members for key in member}
    shapes = {name: set(shape["properties"]) for name, shape in definitions_schema()["definitions"].items()}
    assert shapes == found | {name: shapes[name] for name in ("PeopleShape", "AllExceptShape")}
