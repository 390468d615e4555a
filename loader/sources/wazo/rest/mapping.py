"""From what wazo-confd answers to the definitions format.

Each thing is cut down to what the rules need as soon as it is read, so that a change of anything else (a line, a voice
mail) is no change. Values are handed on as they came, right or wrong: the check of definitions says what is wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Part: TypeAlias = dict[str, Any]
"""A thing of wazo-confd, cut down."""

Parts: TypeAlias = "Mapping[str, list[Part]]"
"""The parts of one tenant, by the resource that they were read from."""


def _permission(raw: Part) -> Part:
    return {
        **_kept(raw, "id", "name", "mode", "enabled", "extensions"),
        "description": raw.get("description") or "",
        "password": raw.get("password") or None,  # wazo-confd's database has '' for none
        "extensions": _sorted(raw.get("extensions", [])),
        "users": _references(raw, "users", "uuid"),
        "groups": _references(raw, "groups", "id"),
        "outcalls": _references(raw, "outcalls", "id"),
    }


def _user(raw: Part) -> Part:
    return {
        **_kept(raw, "uuid"),
        "name": full_name(raw.get("firstname"), raw.get("lastname")),
        "call_permission_password": raw.get("call_permission_password") or None,
        "groups": _references(raw, "groups", "id"),
    }


def _group(raw: Part) -> Part:
    members = raw.get("members")
    return {
        **_kept(raw, "enabled"),
        "name": raw.get("label") or raw.get("name", ""),  # people know the label; Wazo makes the name itself
        "id": _id(raw.get("id")),
        "users": _references(members if isinstance(members, dict) else {}, "users", "uuid"),
    }


def _outcall(raw: Part) -> Part:
    return {**_kept(raw, "name"), "id": _id(raw.get("id"))}


CUT: Final[Mapping[str, Callable[[Part], Part]]] = {
    "callpermissions": _permission,
    "users": _user,
    "groups": _group,
    "outcalls": _outcall,
}
"""How a thing of each of wazo-confd's resources is cut down. The order is that in which they are read."""


def tenant_definition(uuid: str, name: str, parts: Parts) -> dict[str, Any]:
    """One tenant in the definitions format.

    Args:
        uuid: of the tenant.
        name: of the tenant.
        parts: what belongs to it.
    """
    users = _ordered(parts.get("users", []), "uuid")
    return {
        "uuid": uuid,
        "name": name,
        "users": [_kept(user, "uuid", "name", "call_permission_password") for user in users],
        "groups": _with_all_members(_ordered(parts.get("groups", []), "id"), users),
        "outcalls": _ordered(parts.get("outcalls", []), "id"),
        "call_permissions": _ordered(parts.get("callpermissions", []), "id"),
    }


def full_name(first: object, last: object) -> str:
    """What people call a user; what is no text is left out."""
    return " ".join(part for part in (first, last) if isinstance(part, str) and part)


def _with_all_members(groups: list[Part], users: list[Part]) -> list[Part]:
    """A user who is called through a ``Local/`` channel is no member user of a group, but names the group itself."""
    named: dict[object, list[object]] = {}
    for user in users:
        for group in user["groups"] if isinstance(user["groups"], list) else ():
            if isinstance(group, str):
                named.setdefault(group, []).append(user.get("uuid"))
    return [
        {**group, "users": _union(group["users"], named.get(group["id"], []) if _is_text(group["id"]) else [])}
        for group in groups
    ]


def _union(members: object, others: list[object]) -> object:
    if not isinstance(members, list):
        return members
    known = {member for member in members if _is_text(member)}
    return _sorted([*members, *(other for other in others if _is_text(other) and other not in known)])


def _kept(raw: Part, *keys: str) -> Part:
    return {key: raw[key] for key in keys if key in raw}


def _references(raw: Part, key: str, id_key: str) -> object:
    """The ids of what is embedded under a key; what is no list stays what it is."""
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


def _ordered(parts: list[Part], key: str) -> list[Part]:
    return sorted(parts, key=lambda part: _place(part.get(key)))


def _place(value: object) -> tuple[int, str]:
    """Numbers by their size, be they written as text or not, then texts."""
    text = str(value)
    return (len(text), text) if text.isdecimal() else (1 << 30, text)


def _is_text(value: object) -> bool:
    return isinstance(value, str)
