"""Events of Wazo's message bus: those that concern the rules, and the parts that each makes the loader read.

Taken from wazo-confd's notifiers and from xivo-dao's changes of the tables ``rightcall``, ``rightcallexten``,
``rightcallmember``, ``queuemember``, ``queue``, ``groupfeatures``, ``userfeatures`` and ``outcall``. docs/wazo.md has
the table for people.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from loader.definitions.shapes import canonical_uuid

if TYPE_CHECKING:
    from collections.abc import Mapping


class Kind(StrEnum):
    """The kinds of items that are read, each with the name of wazo-confd's resource."""

    USERS = "users"
    GROUPS = "groups"
    OUTCALLS = "outcalls"
    PERMISSIONS = "callpermissions"


class Part(NamedTuple):
    """An item that can be read alone.

    Attributes:
        kind: the kind of item.
        id: a user's UUID in lower case; the number of any other item, as text.
    """

    kind: Kind
    id: str


class _Named(NamedTuple):
    """The fields of an event's data that name the changed part."""

    kind: Kind
    keys: tuple[str, ...]


TENANT_EVENTS: Final = ("auth_tenant_added", "auth_tenant_updated", "auth_tenant_deleted")
"""After these, tenants are other ones than before: their list is read, and a new one's content."""

_CHANGED: Final = ("created", "edited", "deleted")
_ASSOCIATED: Final = ("associated", "dissociated")

PART_EVENTS: Final[Mapping[str, _Named]] = {
    **{f"call_permission_{what}": _Named(Kind.PERMISSIONS, ("id",)) for what in _CHANGED},
    **{
        f"{kind}_call_permission_{what}": _Named(Kind.PERMISSIONS, ("call_permission_id",))
        for kind in ("user", "group", "outcall")
        for what in _ASSOCIATED
    },
    **{f"user_{what}": _Named(Kind.USERS, ("uuid",)) for what in _CHANGED},
    "user_groups_associated": _Named(Kind.USERS, ("user_uuid",)),
    # the end of a user's line deletes the rows of queuemember with the line's interface, without another event
    **{f"user_line_{what}": _Named(Kind.USERS, ("user", "uuid")) for what in _ASSOCIATED},
    **{f"group_{what}": _Named(Kind.GROUPS, ("id",)) for what in _CHANGED},
    "group_member_users_associated": _Named(Kind.GROUPS, ("group_id",)),
    "group_member_extensions_associated": _Named(Kind.GROUPS, ("group_id",)),
    **{f"outcall_{what}": _Named(Kind.OUTCALLS, ("id",)) for what in _CHANGED},
}
"""The kind of item that each event makes the loader read; the event's data name the item."""

EVENTS: Final = (*PART_EVENTS, *TENANT_EVENTS)


def part_of(name: str, body: bytes) -> Part | None:
    """The part that an event names as changed; None if there is no part that can be read alone.

    Args:
        name: the event's name.
        body: the message's body; JSON with ``data``.
    """
    named = PART_EVENTS.get(name)
    if named is None:
        return None
    try:
        value = json.loads(body)["data"]
        for key in named.keys:
            value = value[key]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if named.kind is Kind.USERS:
        uuid = canonical_uuid(value) if isinstance(value, str) else None
        return Part(named.kind, uuid) if uuid else None
    return Part(named.kind, str(value)) if isinstance(value, int) and not isinstance(value, bool) else None
