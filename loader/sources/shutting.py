"""From tenants with faults in documents to closed and isolated tenants in a reading."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from loader.definitions.closed import without_rules
from loader.sources.base import FaultyTenant

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from loader.definitions.check import Entry


def shut(entries: Iterable[Entry], at_fault: Collection[str], across: Iterable[str]) -> tuple[FaultyTenant, ...]:
    """The known parts of the tenants at fault.

    Args:
        entries: all tenants.
        at_fault: the UUIDs of those with an error.
        across: the UUIDs of tenants at fault because of others, once for each fault.
    """
    others = Counter(across)
    found: dict[str, list[FaultyTenant]] = defaultdict(list)
    for entry in entries:
        if entry.uuid not in at_fault:
            continue
        count = others[entry.uuid]
        if entry.tenant is not None:
            found[entry.uuid].append(FaultyTenant(without_rules(entry.tenant, max(count, 1))))
        elif entry.closed is not None:
            closed = replace(entry.closed, closed=entry.closed.closed + count)
            found[entry.uuid].append(FaultyTenant(closed, None if count else entry.isolated))
    return tuple(_together(same) for _, same in sorted(found.items()))


def _together(same: list[FaultyTenant]) -> FaultyTenant:
    """The closed tenant of several definitions of one UUID: the users and outcalls of all."""
    first, *others = same
    if not others:
        return first
    users = {user.uuid: user for one in same for user in one.closed.users}
    outcalls = {outcall.id: outcall for one in same for outcall in one.closed.outcalls}
    numbers = {number for one in same for number in one.closed.emergency}
    aliases: set[str] = set()
    for uuid, user in users.items():
        own = tuple(alias for alias in user.aliases if alias not in aliases)
        aliases.update(own)
        users[uuid] = replace(user, aliases=own)
    closed = replace(
        first.closed,
        users=tuple(users.values()),
        outcalls=tuple(outcalls.values()),
        emergency=tuple(sorted(numbers)),
        closed=sum(one.closed.closed for one in same),
    )
    return FaultyTenant(closed)
