"""The documents of AuthZEN: reading the parts of a request, and the form of errors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NoReturn

from pdp.errors import CallError, InvalidCall

if TYPE_CHECKING:
    from collections.abc import Mapping

TYPES: Final = {"subject": "user", "resource": "extension"}
ACTION: Final = "call"


def read(body: bytes) -> object:
    """The document in a request's body.

    Raises:
        InvalidCall: there is none.
    """
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidCall("the body is no JSON document; send one in UTF-8, as docs/authzen.md shows") from None


def problem(error: CallError) -> dict[str, Any]:
    """An error document, for a program (the statuses of HTTP and gRPC) and for a person."""
    return {"error": {"status": error.code.http_status, "code": error.code.name, "message": error.message}}


def entity_of(evaluation: Mapping[str, Any], part: str) -> str:
    """The id of a subject or resource.

    Raises:
        InvalidCall: the id is missing, or the type is unknown here.
    """
    if (kind := type_of(evaluation, part)) != TYPES[part]:
        raise InvalidCall(f"{part}.type is {kind[:64]!r}; the only one here is {TYPES[part]!r}")
    return id_of(evaluation, part)


def type_of(evaluation: Mapping[str, Any], part: str) -> str:
    """The type of a subject or resource.

    Raises:
        InvalidCall: the entity or its type is missing.
    """
    return text_of(_part(evaluation, part), part, "type")


def id_of(evaluation: Mapping[str, Any], part: str) -> str:
    """The id of a subject or resource of any type.

    Raises:
        InvalidCall: the entity or its id is missing.
    """
    return text_of(_part(evaluation, part), part, "id")


def action_of(evaluation: Mapping[str, Any]) -> str:
    """The name of the action.

    Raises:
        InvalidCall: the action or its name is missing.
    """
    return text_of(_part(evaluation, "action"), "action", "name")


def context_of(evaluation: Mapping[str, Any]) -> Mapping[str, Any]:
    """The context; null means no context.

    Raises:
        InvalidCall: the context is no object.
    """
    context = evaluation.get("context")
    return {} if context is None else mapping_of(context, "context")


def _part(evaluation: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    if part not in evaluation:
        raise InvalidCall(f"{part} is missing; an evaluation has subject, action and resource")
    return mapping_of(evaluation[part], part)


def text_of(mapping: Mapping[str, Any], part: str, member: str, default: str | None = None) -> str:
    """A text of a part; the default for an absent one.

    Raises:
        InvalidCall: the text is absent without a default, or the value is no text.
    """
    value = mapping.get(member)
    if value is None:  # null is absent
        value = default
    if value is None:
        raise InvalidCall(f"{part}.{member} is missing; send it as text")
    if not isinstance(value, str):
        refuse(f"{part}.{member}", "text", value)
    return value


def mapping_of(value: object, name: str) -> Mapping[str, Any]:
    """The object that a value has to be.

    Raises:
        InvalidCall: the value is of another type.
    """
    if not isinstance(value, dict):
        refuse(name, "an object", value)
    return value


def refuse(name: str, wanted: str, value: object) -> NoReturn:
    """Rejects a value of the wrong type; the message has the type, never the value.

    Raises:
        InvalidCall: always.
    """
    raise InvalidCall(f"{name} is {_KINDS.get(type(value), 'something else')}; send {wanted}")


_KINDS: Final[Mapping[type, str]] = {
    bool: "true or false",
    dict: "an object",
    float: "a number",
    int: "a number",
    list: "a list",
    str: "text",
    type(None): "null",
}
