"""The shape of definitions: which keys there are, and what each value must be by itself.

Relations between values (references, repeated ids) are in ``check``.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Annotated, Any, NoReturn

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from loader.definitions.text.tokens import printable
from loader.numbering import UnknownCountry, numbering_table
from pdp.rules.analysis.lint.finding import CODES
from pdp.rules.errors import PatternError
from pdp.rules.model import (
    MAX_CALLER_LENGTH,
    MAX_PASSWORD_LENGTH,
    MAX_PATTERN_LENGTH,
    MAX_PERMISSION_PATTERNS,
    Mode,
)
from pdp.rules.patterns.parser import parse

FAULT = "fault"
"""The type of the pydantic errors made here; their context has ``problem`` and ``remedy``."""

MAX_PERMISSION_ID = 2**63 - 1
"""Also the maximum of a user's number."""

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_PASSWORD = re.compile(rf"[0-9*#]{{1,{MAX_PASSWORD_LENGTH}}}", re.ASCII)
_EMERGENCY = re.compile(r"[0-9]{2,15}", re.ASCII)
_LINE = re.compile(r"[0-9]{1,4}", re.ASCII)
_MODES = {mode.value: mode for mode in Mode}


def canonical_uuid(text: str) -> str | None:
    """The UUID in lower case; None where the text is none."""
    return text.lower() if _UUID.fullmatch(text) else None


def _refuse(problem: str, remedy: str) -> NoReturn:
    raise PydanticCustomError(FAULT, "fault", {"problem": problem, "remedy": remedy})


def _uuid(text: str) -> str:
    uuid = canonical_uuid(text)
    if uuid is None:
        remedy = "write it as 8-4-4-4-12 hexadecimal digits, as in 2c34c282-433e-4bb8-8d56-fec14ff7e1e9"
        _refuse(f"'{printable(text)}' is no UUID", remedy)
    return uuid


def _text(text: str) -> str:
    # JSON can escape half of a surrogate pair alone, which no UTF-8 can hold later.
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        _refuse("the text holds half a character", "write both halves of the pair, or leave it out")
    return text


def _id(text: str) -> str:
    if not text:
        _refuse("an id cannot be empty", "write the id of the group or outcall")
    return _text(text)


def _name(text: str) -> str:
    if not text:
        _refuse("an expectation has an empty name", "name what must hold, as in no-premium")
    return text


def _not_empty(patterns: list[str]) -> list[str]:
    if not patterns:
        _refuse("an expectation speaks of no extension", 'list patterns, as in ["_0900."]')
    return patterns


def _reason(text: str) -> str:
    if not text.strip():
        _refuse("it is not said why a mistake is meant", "write the reason for who reads it later")
    return text


def _code(text: str) -> str:
    if text not in CODES:
        found = get_close_matches(text, CODES, n=1)
        remedy = f"did you mean '{found[0]}'?" if found else "write a code that rightcall validate shows"
        _refuse(f"there is no mistake '{printable(text)}'", remedy)
    return text


def is_password(text: str) -> bool:
    """Whether a text can be dialled as a password."""
    return _PASSWORD.fullmatch(text) is not None


def _password(text: str) -> str:
    if not is_password(text):
        problem = "the password cannot be dialled" if text else "the password is empty"
        _refuse(problem, f"write 1 to {MAX_PASSWORD_LENGTH} of 0-9 * #, or leave the key out for no password")
    return text


def _pattern(text: str) -> str:
    try:
        parse(text)
    except PatternError as error:
        _refuse(str(error).removesuffix(f"; {error.remedy}"), error.remedy)
    return text


def _mode(text: str) -> Mode:
    mode = _MODES.get(text)
    if mode is None:
        _refuse(f"'{printable(text)}' is no mode", "write allow or deny")
    return mode


def _alias(text: str) -> str:
    if canonical_uuid(text) is not None:
        _refuse("an alias is a UUID", "write another name of the user; the UUID is known already")
    if not 0 < len(text) <= MAX_CALLER_LENGTH or not text.isprintable():
        _refuse("an alias cannot be sent as a caller", f"write 1 to {MAX_CALLER_LENGTH} printable characters")
    return text


def _emergency_number(text: str) -> str:
    if not _EMERGENCY.fullmatch(text):
        _refuse(f"'{printable(text)}' is no emergency number", "write 2 to 15 digits, without the outside line")
    return text


def _outside_line(text: str) -> str:
    if not _LINE.fullmatch(text):
        _refuse(f"'{printable(text)}' is no outside line", "write 1 to 4 digits, or leave the key out for none")
    return text


def _country(text: str) -> str:
    try:
        numbering_table(text, "")
    except UnknownCountry:
        _refuse(f"'{printable(text)}' is no country", "write its two letters in capitals, as in FR")
    return text


def _user_id(number: int) -> int:
    if not 0 < number <= MAX_PERMISSION_ID:
        _refuse("the id of a user is out of range", f"write a number from 1 to {MAX_PERMISSION_ID}, or leave it out")
    return number


def _permission_id(number: int) -> int:
    if not 0 < number <= MAX_PERMISSION_ID:
        _refuse("the id of a permission is out of range", f"write a number from 1 to {MAX_PERMISSION_ID}")
    return number


def _said(kind: str, **more: object) -> WithJsonSchema:
    """What a JSON Schema says of a value; ``schema`` puts it together."""
    return WithJsonSchema({"type": kind, **more})


def _whole(pattern: str) -> str:
    """An expression that a whole text matches."""
    return f"^(?:{pattern})$"


_Uuid = Annotated[str, AfterValidator(_uuid), _said("string", pattern=_whole(_UUID.pattern))]
_Text = Annotated[str, AfterValidator(_text)]
_Id = Annotated[str, AfterValidator(_id), _said("string", minLength=1)]
_Password = Annotated[str, AfterValidator(_password), _said("string", pattern=_whole(_PASSWORD.pattern))]
_Pattern = Annotated[
    str,
    AfterValidator(_pattern),
    _said("string", pattern=r"^[-0-9*#+_XZN.!\[\]]+$", minLength=1, maxLength=MAX_PATTERN_LENGTH),
]
_Name = Annotated[str, AfterValidator(_text), AfterValidator(_name), _said("string", minLength=1)]
_Reason = Annotated[str, AfterValidator(_text), AfterValidator(_reason), _said("string", pattern=r"\S")]
_Code = Annotated[str, AfterValidator(_code), _said("string", enum=sorted(CODES))]
_Country = Annotated[str, AfterValidator(_country), _said("string", pattern="^([A-Z]{2})?$")]
_Number = _said("integer", minimum=1, maximum=MAX_PERMISSION_ID)


class _Shape(BaseModel):
    """A mapping with these keys and no other. Nothing is converted: text is text, and a number is none."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)


class DocumentShape(_Shape):
    """The top of a document."""

    tenants: list[Any]


class EmergencyShape(_Shape):
    """A tenant's emergency numbers."""

    numbers: list[
        Annotated[str, AfterValidator(_emergency_number), _said("string", pattern=_whole(_EMERGENCY.pattern))]
    ] = []
    country: _Country | None = None


class DiallingShape(_Shape):
    """A tenant's dialling."""

    country: _Country | None = None
    outside_line: Annotated[str, AfterValidator(_outside_line), _said("string", pattern=_whole(_LINE.pattern))] = ""


class TenantShape(_Shape):
    """A tenant, without the members of the lists."""

    uuid: _Uuid
    name: _Text = ""
    users: list[Any] = []
    groups: list[Any] = []
    outcalls: list[Any] = []
    call_permissions: list[Any] = []
    expectations: list[Any] = []
    lint: list[Any] = []
    emergency: EmergencyShape | None = None
    dialling: DiallingShape | None = None


class UserShape(_Shape):
    """A user."""

    uuid: _Uuid
    call_permission_password: _Password | None = None
    name: _Text = ""
    extension: _Text = ""
    id: Annotated[int, AfterValidator(_user_id), _Number] | None = None
    aliases: list[
        Annotated[str, AfterValidator(_alias), _said("string", minLength=1, maxLength=MAX_CALLER_LENGTH)]
    ] = []


class GroupShape(_Shape):
    """A group."""

    id: _Id
    name: _Text = ""
    enabled: bool = True
    users: list[_Uuid] = []


class OutcallShape(_Shape):
    """An outcall."""

    id: _Id
    name: _Text = ""


class PermissionShape(_Shape):
    """A call permission."""

    id: Annotated[int, AfterValidator(_permission_id), _Number]
    name: _Text = ""
    mode: Annotated[str, AfterValidator(_mode), _said("string", enum=list(_MODES))] = Field(default=Mode.DENY)
    password: _Password | None = None
    enabled: bool = True
    extensions: Annotated[list[_Pattern], Field(max_length=MAX_PERMISSION_PATTERNS)] = []
    users: list[_Uuid] = []
    groups: list[_Id] = []
    outcalls: list[_Id] = []
    description: _Text = ""


class ExpectationShape(_Shape):
    """An expectation, without the content of ``who``, ``through`` and ``must``."""

    name: _Name
    who: Any
    dial: Annotated[list[_Pattern], AfterValidator(_not_empty), Field(json_schema_extra={"minItems": 1})]
    through: Any = "any"
    must: Any
    enforce: bool = True


class IgnoredShape(_Shape):
    """Mistakes of meaning that are meant."""

    ignore: _Code
    reason: _Reason
    permissions: list[int] = []


class PeopleShape(_Shape):
    """Users and groups that are listed."""

    users: list[Any] = []
    groups: list[Any] = []


class AllExceptShape(_Shape):
    """All users but some."""

    all_except: Any
