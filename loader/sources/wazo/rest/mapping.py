"""From wazo-confd's responses to the items of the picture.

Each item is reduced to the fields that the rules need, so that other changes (a line, a voice mail) do not count.
Values are passed on unchanged, right or wrong: the check of definitions reports faults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from loader.errors import SourceError
from loader.sources.wazo.events import Kind
from loader.sources.wazo.rest.picture import Seen, Thing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def seen(kind: Kind, raw: Mapping[str, Any]) -> Seen:
    """An item of one of wazo-confd's lists.

    Raises:
        SourceError: the item names no tenant, or has no id.
    """
    id_ = raw.get("uuid" if kind is Kind.USERS else "id")
    if id_ is None:
        raise SourceError(f"Wazo's {kind} hold one without an id; check that the Wazo release is a supported one")
    text = str(id_)
    return Seen(kind, text.lower() if kind is Kind.USERS else text, tenant_of(raw, kind), _CUT[kind](dict(raw)))


def tenant_of(raw: Mapping[str, Any], resource: str, key: str = "tenant_uuid") -> str:
    """The tenant that an item names.

    Raises:
        SourceError: the item names no tenant.
    """
    uuid = raw.get(key)
    if not isinstance(uuid, str) or not uuid:
        raise SourceError(f"Wazo's {resource} hold one without {key}; check that the Wazo release is a supported one")
    return uuid.lower()


def full_name(first: object, last: object) -> str:
    """A user's name for people; names that are not text are left out."""
    return " ".join(part for part in (first, last) if isinstance(part, str) and part)


def _permission(raw: Thing) -> Thing:
    return {
        **_kept(raw, "id", "name", "mode", "enabled", "extensions"),
        "description": raw.get("description") or "",
        "password": raw.get("password") or None,  # wazo-confd's database has '' for none
        "extensions": _sorted(raw.get("extensions", [])),
        "users": _references(raw, "users", "uuid"),
        "groups": _references(raw, "groups", "id"),
        "outcalls": _references(raw, "outcalls", "id"),
    }


def _user(raw: Thing) -> Thing:
    return {
        **_kept(raw, "uuid", "id"),
        "name": full_name(raw.get("firstname"), raw.get("lastname")),
        "call_permission_password": raw.get("call_permission_password") or None,
        "groups": _references(raw, "groups", "id"),
    }


def _group(raw: Thing) -> Thing:
    members = raw.get("members")
    return {
        **_kept(raw, "enabled"),
        "name": raw.get("label") or raw.get("name", ""),  # people know the label; Wazo makes the name itself
        "id": _id(raw.get("id")),
        "users": _references(members if isinstance(members, dict) else {}, "users", "uuid"),
    }


def _outcall(raw: Thing) -> Thing:
    return {**_kept(raw, "name"), "id": _id(raw.get("id"))}


_CUT: Final[Mapping[Kind, Callable[[Thing], Thing]]] = {
    Kind.PERMISSIONS: _permission,
    Kind.USERS: _user,
    Kind.GROUPS: _group,
    Kind.OUTCALLS: _outcall,
}


def _kept(raw: Thing, *keys: str) -> Thing:
    return {key: raw[key] for key in keys if key in raw}


def _references(raw: Thing, key: str, id_key: str) -> object:
    """The ids of the items embedded under a key; a value that is no list stays unchanged."""
    embedded = raw.get(key, [])
    if not isinstance(embedded, list):
        return embedded
    return _sorted([_id(each.get(id_key)) if isinstance(each, dict) else each for each in embedded])


def _id(value: object) -> object:
    """Wazo's ids are numbers, those of definitions are text."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _sorted(values: object) -> object:
    """In an order of their own: wazo-confd's may be another one each time."""
    return sorted(values, key=lambda value: (type(value).__name__, str(value))) if isinstance(values, list) else values
