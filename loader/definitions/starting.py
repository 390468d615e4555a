"""The first definitions of a company: users from a table, and permissions that most companies want."""

from __future__ import annotations

import csv
import io
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loader.definitions.reaching import dialling_of, emergency_of
from loader.definitions.shapes import DiallingShape, EmergencyShape, canonical_uuid
from loader.definitions.writing import definitions_text
from loader.numbering import cost_ranges
from pdp.rules.model import CallPermission, Chosen, Decision, Expectation, Group, Outcall, Tenant, User, Who

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

COLUMNS = ("name", "extension", "uuid", "groups")
"""The columns of the table that are read; each may be missing, but not name and extension both."""
_OUTCALL = Outcall("1", "outside")
_NOBODY = Who(Chosen.NOBODY_KNOWN)
_DENIED = frozenset((Decision.DENY,))
_CLOSED = frozenset((Decision.DENY, Decision.CHALLENGE))
_ALLOWED = frozenset((Decision.ALLOW,))
_FIRST = 10
"""The number of the first permission."""


class TableError(ValueError):
    """A table of users with faults.

    Attributes:
        faults: the faults, each with the line.
    """

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__(f"the table of users has {len(faults)} fault{'s' if len(faults) > 1 else ''}")


@dataclass
class _Users:
    """The users of a table, and the members of groups by name."""

    users: list[User] = field(default_factory=list)
    groups: dict[str, list[str]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def starting_definitions(table: str, name: str, tenant: str, country: str, outside_line: str) -> str:
    """Commented definitions for the users of a table.

    Args:
        table: CSV with a heading; groups are separated by ``;``.
        name: the tenant's name.
        tenant: the tenant's UUID.
        country: two letters.
        outside_line: digits, or nothing.

    Raises:
        TableError: the table has faults.
    """
    read = _read(table, tenant)
    if read.faults:
        raise TableError(read.faults)
    groups = tuple(Group(str(at), each, users=tuple(users)) for at, (each, users) in enumerate(read.groups.items(), 1))
    found = cost_ranges(country, outside_line)
    emergency = emergency_of(EmergencyShape(country=country))
    permissions = tuple(_permissions(found))
    dialling = {"country": country, **({"outside_line": outside_line} if outside_line else {})}
    whole = Tenant(
        tenant,
        name,
        users=tuple(read.users),
        groups=groups,
        outcalls=(_OUTCALL,),
        call_permissions=permissions,
        expectations=tuple(_expectations(found, emergency)),
        emergency=emergency,
        dialling=dialling_of(DiallingShape.model_validate(dialling)),
    )
    return definitions_text((whole,), _HEADING, _REMARKS | _example(permissions, groups))


def _read(table: str, tenant: str) -> _Users:
    """The users of a table; those without a UUID get one that stays the same for the same table."""
    read = _Users()
    rows = csv.DictReader(io.StringIO(table.removeprefix("\ufeff")), skipinitialspace=True)
    columns = {(column or "").strip().lower(): column for column in rows.fieldnames or ()}
    if not {"name", "extension"} & columns.keys():
        read.faults.append(f"line 1: there is neither a column name nor extension; columns are {', '.join(COLUMNS)}")
        return read
    seen: dict[str, int] = {}
    for row in rows:
        cells = {key: (row.get(columns.get(key, "")) or "").strip() for key in COLUMNS}
        if not any(cells.values()):
            continue
        read.faults += _take(cells, rows.line_num, tenant, seen, read)
    if not read.users and not read.faults:
        read.faults.append("there are no users in it")
    return read


def _take(cells: Mapping[str, str], line: int, tenant: str, seen: dict[str, int], read: _Users) -> Iterator[str]:
    """Adds the user of one row; yields the faults."""
    given = canonical_uuid(cells["uuid"]) if cells["uuid"] else _made(tenant, cells)
    if given is None:
        yield f"line {line}: '{cells['uuid']}' is no UUID; write 8-4-4-4-12 hexadecimal digits, or nothing"
        return
    for what, value in (("extension", cells["extension"]), ("UUID", given)):
        before = seen.setdefault(f"{what} {value}", line)
        if value and before != line:
            yield f"line {line}: the {what} {value} is that of line {before} already"
            return
    read.users.append(User(given, name=cells["name"], extension=cells["extension"]))
    for group in dict.fromkeys(part.strip() for part in cells["groups"].split(";")):
        if group:
            read.groups.setdefault(group, []).append(given)


def _made(tenant: str, cells: Mapping[str, str]) -> str:
    return str(uuid.uuid5(uuid.UUID(tenant), cells["extension"] or cells["name"]))


def _permissions(found: Mapping[str, tuple[str, ...]]) -> Iterator[CallPermission]:
    """A deny for each kind of costly numbers."""
    for id_, (kind, patterns) in enumerate(found.items(), _FIRST):
        yield CallPermission(id_, kind, extensions=patterns, outcalls=(_OUTCALL.id,))


def _expectations(found: Mapping[str, tuple[str, ...]], emergency: tuple[str, ...]) -> Iterator[Expectation]:
    outside = (_OUTCALL.id,)
    if emergency:
        yield Expectation("help-for-everyone", Who(), emergency, _ALLOWED)
    if "premium" in found:
        yield Expectation("no-premium", Who(), found["premium"], _DENIED, outside)
    yield Expectation("abroad-is-closed", Who(), found["international"], _CLOSED, outside)
    yield Expectation("strangers-stay-in-the-country", _NOBODY, found["international"], _DENIED, outside)


def _example(permissions: Sequence[CallPermission], groups: Sequence[Group]) -> dict[str, tuple[str, ...]]:
    """The comment on the last permission: how a group is let abroad."""
    abroad, group = permissions[-1], groups[0] if groups else Group("1", "sales")
    allow = f'id: {abroad.id + 10}, name: abroad, mode: allow, extensions: ["{abroad.extensions[0]}", "_+."]'
    return {
        str(abroad.id): (
            'Abroad. With a line `password: "…"` it asks for that PIN instead. A group that may, here group',
            f"{group.name!a}, gets a permission of its own, and an exception in the expectation abroad-is-closed:",
            f'- {{{allow}, groups: ["{group.id}"]}}',
        )
    }


_HEADING = (
    "yaml-language-server: $schema=definitions.schema.json",
    "",
    "Who may call whom; for editors: rightcall schema > definitions.schema.json",
    "",
    "  rightcall validate FILE        faults and mistakes",
    "  rightcall prove FILE           whether what is expected below holds, for every caller and every number",
    "  rightcall diff OLD NEW         what an edit changes, for whom",
    "  rightcall explain --definitions FILE --caller NAME --extension NUMBER --outcall outside",
    "",
    "UUIDs of users and ids of groups and outcalls are those by which the telephone system asks: put them in.",
    "UUIDs that were not in the table were made up.",
)
_REMARKS = {
    "emergency": (
        "Always allowed, before any rule is looked at. The country's list is libphonenumber's, and lacks some national",
        "numbers: add those that matter to you.",
    ),
    "dialling": ("How people dial: a number is one number, however it is dialled.",),
    "outcalls": ("The ways out: put in the ids of the telephone system. Calls inside pass through none.",),
    "call_permissions": (
        "The caller's own permissions come first, then those of the groups, then those of the outcall. The first of",
        "these in which any matches decides. In it an allow prevails; where nothing matches, the call is allowed.",
    ),
    "expectations": ("What the rules are for. An edit after which one of these does not hold is not published.",),
}
