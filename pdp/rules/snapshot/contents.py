"""From a snapshot back to the tenant that was compiled: for comparisons with other rules, and for exports.

Decisions are the same. A snapshot lacks what no decision needs: expectations, permissions without associations, groups
without members, and passwords, of which it holds keyed hashes at most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.rules.model import CallPermission, Dialling, Group, Outcall, Tenant, User
from pdp.rules.snapshot.passwords import HASHED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pdp.rules.snapshot.records import GroupRecord
    from pdp.rules.snapshot.snapshot import Snapshot

WITHHELD = "withheld"
"""Stands for a password of which a snapshot has not even the hash."""


def stand_in(record: bytes) -> str:
    """The text that stands for a password with this salt and hash; no password reads like it."""
    return HASHED + record.hex() if record else WITHHELD


def stands_in(password: str) -> bool:
    """Whether a text stands for a password that is not known."""
    return password == WITHHELD or password.startswith(HASHED)


def tenant_of(snapshot: Snapshot, table: Callable[[str, str], bytes]) -> Tenant:
    """The tenant that a snapshot was compiled from, in the order of ids.

    Args:
        snapshot: the compiled rules.
        table: gives the numbering table for a country and an outside line.
    """
    return _Contents(snapshot).tenant(table)


def users_of(snapshot: Snapshot) -> Iterator[tuple[User, list[str]]]:
    """The users that a snapshot was compiled from, each with the ids of all the user's groups."""
    for user in _Contents(snapshot).named_users():
        yield user, [group.id for group in snapshot.user_groups(user.uuid)]


class _Contents:
    """Collects what a snapshot says of each permission and group."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._callers = sorted(snapshot.callers())
        self._groups: dict[str, tuple[GroupRecord, list[str]]] = {}
        self._users: dict[int, list[str]] = {}
        self._outcalls: dict[int, list[str]] = {}
        self._group_ids: dict[int, list[str]] = {}

    def tenant(self, table: Callable[[str, str], bytes]) -> Tenant:
        """The tenant."""
        snapshot = self._snapshot
        for caller in self._callers:
            for slot in snapshot.user_permissions(caller):
                self._users.setdefault(slot, []).append(caller)
            for group in snapshot.user_groups(caller):
                self._groups.setdefault(group.id, (group, []))[1].append(caller)
        for id_, (group, _) in sorted(self._groups.items()):
            for slot in group.permissions:
                self._group_ids.setdefault(slot, []).append(id_)
        outcalls = sorted(snapshot.outcalls())
        for id_, _ in outcalls:
            for slot in snapshot.outcall_permissions(id_):
                self._outcalls.setdefault(slot, []).append(id_)
        plan = snapshot.dialling
        numbering = (plan.numbering.country, plan.outside_line) if plan else None
        permissions = map(self._permission, self._users.keys() | self._group_ids.keys() | self._outcalls.keys())
        return Tenant(
            snapshot.tenant,
            snapshot.tenant_name,
            users=tuple(self.named_users()),
            groups=tuple(
                Group(id_, group.name, group.enabled, tuple(members))
                for id_, (group, members) in sorted(self._groups.items())
            ),
            outcalls=tuple(Outcall(*outcall) for outcall in outcalls),
            call_permissions=tuple(sorted(permissions, key=lambda permission: permission.id)),
            emergency=snapshot.emergency.numbers,
            dialling=Dialling(*numbering, table(*numbering)) if numbering else None,
            closed=snapshot.closed,
        )

    def named_users(self) -> list[User]:
        """The users, in the order of their UUIDs."""
        snapshot = self._snapshot
        aliases: dict[str, list[str]] = {}
        for alias, owner in sorted(snapshot.aliases()):
            aliases.setdefault(owner, []).append(alias)
        found = []
        for caller in self._callers:
            secret = snapshot.user_secret(caller)
            password = stand_in(secret) if secret else None
            found.append(User(caller, password, *snapshot.user_names(caller), tuple(aliases.get(caller, ()))))
        return found

    def _permission(self, slot: int) -> CallPermission:
        record = self._snapshot.permission(slot)
        return CallPermission(
            record.id,
            record.name,
            record.mode,
            stand_in(self._snapshot.permission_secret(slot)) if record.has_password else None,
            record.enabled,
            tuple(map(self._snapshot.pattern, record.patterns)),
            users=tuple(self._users.get(slot, ())),
            groups=tuple(self._group_ids.get(slot, ())),
            outcalls=tuple(self._outcalls.get(slot, ())),
        )
