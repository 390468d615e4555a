"""The JSON Schema of definitions, for editors: made of the shapes that the check of definitions uses.

A schema cannot say everything: that what is referred to exists, that ids are unique, that brackets of a pattern match.
``rightcall validate`` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic.json_schema import models_json_schema

from loader.definitions.shapes import (
    AllExceptShape,
    DocumentShape,
    ExpectationShape,
    GroupShape,
    IgnoredShape,
    OutcallShape,
    PeopleShape,
    PermissionShape,
    TenantShape,
    UserShape,
)
from pdp.rules.model import Decision

if TYPE_CHECKING:
    from pydantic import BaseModel

_REFERENCE = "#/definitions/{model}"
_DECISIONS = [decision.name.lower() for decision in Decision]
_UUIDS: Final = {"type": "array", "items": {"type": "string"}}
_MEMBERS: Final[dict[tuple[type[BaseModel], str], type[BaseModel]]] = {
    (DocumentShape, "tenants"): TenantShape,
    (TenantShape, "users"): UserShape,
    (TenantShape, "groups"): GroupShape,
    (TenantShape, "outcalls"): OutcallShape,
    (TenantShape, "call_permissions"): PermissionShape,
    (TenantShape, "expectations"): ExpectationShape,
    (TenantShape, "lint"): IgnoredShape,
}
"""The shapes of the members of lists, which are checked one by one."""


def definitions_schema() -> dict[str, Any]:
    """The schema, of draft 7: what editors understand."""
    shapes: list[type[BaseModel]] = [DocumentShape, *_MEMBERS.values(), PeopleShape, AllExceptShape]
    _, made = models_json_schema([(shape, "validation") for shape in shapes], ref_template=_REFERENCE)
    found: dict[str, Any] = {name: _plain(shape) for name, shape in made["$defs"].items()}
    for (shape, key), member in _MEMBERS.items():
        found[shape.__name__]["properties"][key]["items"] = _reference(member)
    people, all_except = _reference(PeopleShape), _reference(AllExceptShape)
    for key in ("users", "groups"):
        found[PeopleShape.__name__]["properties"][key] = _UUIDS
    found[AllExceptShape.__name__]["properties"]["all_except"] = people
    found[ExpectationShape.__name__]["properties"] |= {
        "who": {"anyOf": [{"enum": ["everyone", "nobody_known"]}, all_except, people]},
        "through": {"anyOf": [{"enum": ["any", "none"]}, {**_UUIDS, "minItems": 1}]},
        "must": {
            "anyOf": [
                {"enum": _DECISIONS},
                {"type": "array", "items": {"enum": _DECISIONS}, "minItems": 1, "maxItems": 2, "uniqueItems": True},
            ]
        },
    }
    document = found.pop(DocumentShape.__name__)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Definitions of Rightcall",
        "description": "Who may call whom: tenants with users, groups, outcalls and call permissions.",
        **{key: document[key] for key in ("type", "additionalProperties", "properties", "required")},
        "definitions": found,
    }


def _reference(shape: type) -> dict[str, str]:
    return {"$ref": _REFERENCE.format(model=shape.__name__)}


def _plain(shape: dict[str, Any]) -> dict[str, Any]:
    """A shape without the titles that repeat its keys."""
    properties = {key: {k: v for k, v in said.items() if k != "title"} for key, said in shape["properties"].items()}
    return {key: said for key, said in shape.items() if key != "title"} | {"properties": properties}
