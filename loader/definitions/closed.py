"""Tenants with faults: their known users and outcalls, so that none of their calls is decided as another tenant's.

A tenant that was never free of faults is *closed*: users and outcalls are known, and there are no rules. Where faults
are isolated, the sound permissions count, and a faulty one is closed: a deny denies everything to the associated users,
an allow allows nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from loader.definitions.reaching import dialling_of, emergency_of
from loader.definitions.shapes import MAX_PERMISSION_ID, DiallingShape, EmergencyShape, canonical_uuid
from pdp.rules.model import CallPermission, Mode, Outcall, Tenant, User

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pdp.rules.model import Dialling

EVERYTHING = "_!"
"""The pattern of a deny that cannot be read."""


def closed_tenant(
    uuid: str, raw: object, users: Iterable[User], declared: Mapping[str, Sequence[Any]], faults: int
) -> Tenant:
    """The closed tenant: without rules.

    Args:
        uuid: the tenant's UUID, in lower case.
        raw: the tenant as the document holds it.
        users: the readable users.
        declared: the ids of the members by list, empty texts for members without one.
        faults: number of faults that keep the tenant closed.
    """
    mapping = raw if isinstance(raw, dict) else {}
    name = mapping.get("name")
    readable = {user.uuid: User(user.uuid, aliases=user.aliases) for user in users}
    known = {id_: readable.get(id_, User(id_)) for id_ in declared["users"] if id_}
    outcalls = dict.fromkeys(id_ for id_ in declared["outcalls"] if id_)
    return Tenant(
        uuid,
        name if isinstance(name, str) else "",
        users=_with_own_aliases(known.values()),
        outcalls=tuple(map(Outcall, outcalls)),
        emergency=_emergency(mapping.get("emergency")),
        dialling=_dialling(mapping.get("dialling")),
        closed=faults,
    )


def without_rules(tenant: Tenant, faults: int) -> Tenant:
    """A readable tenant that cannot be published, without rules."""
    users = tuple(User(user.uuid, aliases=user.aliases) for user in tenant.users)
    return Tenant(
        tenant.uuid,
        tenant.name,
        users=users,
        outcalls=tenant.outcalls,
        emergency=tenant.emergency,
        dialling=tenant.dialling,
        closed=faults,
    )


def closed_permission(raw: object, known: Mapping[str, Mapping[str, str]]) -> CallPermission | None:
    """A permission with faults, closed; None if the associations are unreadable."""
    if not isinstance(raw, dict):
        return None
    number, name = raw.get("id"), raw.get("name")
    if type(number) is not int or not 0 < number <= MAX_PERMISSION_ID:
        return None
    lists = [raw.get(key, []) for key in ("users", "groups", "outcalls")]
    if not all(isinstance(members, list) for members in lists):
        return None
    users, groups, outcalls = (
        tuple(dict.fromkeys(known[key][id_] for each in members if (id_ := _id(key, each)) in known[key]))
        for key, members in zip(("users", "groups", "outcalls"), lists, strict=True)
    )
    mode = Mode.ALLOW if raw.get("mode") == Mode.ALLOW.value else Mode.DENY
    return CallPermission(
        number,
        name if isinstance(name, str) else "",
        mode,
        enabled=raw.get("enabled") is not False,
        extensions=(EVERYTHING,) if mode is Mode.DENY else (),
        users=users,
        groups=groups,
        outcalls=outcalls,
    )


def _id(key: str, each: object) -> str:
    if not isinstance(each, str):
        return ""
    return canonical_uuid(each) or "" if key == "users" else each


def _with_own_aliases(users: Iterable[User]) -> tuple[User, ...]:
    """The users without aliases that another one has already."""
    seen: set[str] = set()
    found = []
    for user in users:
        own = tuple(alias for alias in user.aliases if alias not in seen)
        seen.update(own)
        found.append(User(user.uuid, aliases=own))
    return tuple(found)


def _emergency(raw: object) -> tuple[str, ...]:
    """The emergency numbers that can be read; a wrong one takes none of the others away."""
    if not isinstance(raw, dict):
        return ()
    found: set[str] = set()
    numbers = raw.get("numbers")
    parts = [{"numbers": [each]} for each in numbers] if isinstance(numbers, list) else []
    for part in (*parts, {"country": raw.get("country")}):
        try:
            found.update(emergency_of(EmergencyShape.model_validate(part)))
        except ValidationError:
            continue
    return tuple(sorted(found))


def _dialling(raw: object) -> Dialling | None:
    try:
        return dialling_of(DiallingShape.model_validate(raw)) if raw is not None else None
    except ValidationError:
        return None
