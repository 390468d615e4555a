"""The names, for people, of the callers, outcalls, permissions and extensions in an analysis."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from pdp.rules.model import Mode, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pdp.rules.analysis.counterexample import Pair
    from pdp.rules.analysis.regions import Regions
    from pdp.rules.model import CallPermission, Tenant

_FEW = 3


class Names:
    """The names of the entities of a tenant; of two versions, the new one's names prevail.

    Args:
        tenants: the versions, the older first.
    """

    def __init__(self, *tenants: Tenant) -> None:
        self._tenants = tenants
        self._users = {user.uuid: user for tenant in tenants for user in tenant.users}
        self._outcalls = {outcall.id: outcall.name for tenant in tenants for outcall in tenant.outcalls}
        self._groups = {group.id: group for tenant in tenants for group in tenant.groups}
        self._permissions = {each.id: each for tenant in tenants for each in tenant.call_permissions}

    def user(self, uuid: str) -> str:
        """``Ada Ober (201)``, as far as known; a caller that is no user has an empty UUID."""
        user = self._users.get(uuid)
        if user is None:
            return f"a caller with the unknown UUID {uuid}" if uuid else "a caller that is no user"
        if user.name and user.extension:
            return f"{user.name} ({user.extension})"
        return user.name or (f"extension {user.extension}" if user.extension else user.uuid)

    def outcall(self, id_: str | None) -> str:
        """An outcall's name, or the id of one without a name."""
        return "no outcall" if id_ is None else self._outcalls.get(id_) or id_

    def group(self, id_: str) -> str:
        """A group's name, or the id of one without a name."""
        group = self._groups.get(id_)
        return group.name or group.id if group else id_

    def permission(self, id_: int) -> str:
        """``permission 20 "campaign"``."""
        permission = self._permissions.get(id_)
        return f'permission {id_} "{permission.name}"' if permission and permission.name else f"permission {id_}"

    def rule(self, id_: int, stage: Stage | None, caller: str, outcall: str | None) -> str:
        """``permission 20 "campaign" (allow _0[89]., group Sales)``: a permission, its patterns and association."""
        permission = self._permissions.get(id_)
        if permission is None:
            return f"permission {id_}"
        texts = permission.extensions
        patterns = ", ".join(texts[:_FEW]) + (", …" if len(texts) > _FEW else "")
        asks = permission.mode is Mode.DENY and permission.password is not None
        mode = f"{permission.mode.value}{' with a PIN' if asks else ''}"
        return f"{self.permission(id_)} ({mode} {patterns}{self._through(permission, stage, caller, outcall)})"

    def _through(self, permission: CallPermission, stage: Stage | None, caller: str, outcall: str | None) -> str:
        if stage is Stage.USER:
            return ", the user's own"
        if stage is Stage.OUTCALL:
            return f", outcall {self.outcall(outcall)}"
        if stage is Stage.GROUP:
            of_caller = [id_ for id_ in permission.groups if caller in self._members.get(id_, ())]
            return f", group {self.group(next(iter(of_caller or permission.groups), ''))}"
        return ""

    def people(self, users: Sequence[str]) -> str:
        """Callers in as few words as name exactly these, or the number of callers with some of the names."""
        if not users:
            return "callers that are no user"
        if len(users) == 1:
            return self.user(users[0])
        count = f"{len(users):,} people"
        named = self._exactly(set(users))
        if named:
            return f"{named} ({count})"
        if len(users) <= _FEW:
            return _listed([self.user(user) for user in users])
        return f"{count} ({', '.join(self.user(user) for user in users[:_FEW])}, …)"

    def _exactly(self, users: set[str]) -> str:
        """A name for exactly these users: everyone, a group, or everyone but a group; empty where there is none."""
        if len(users) == len(self._users):
            return "everyone"
        group = self._group_of(users)
        if group:
            return group
        few = len(self._users) - len(users) in self._by_size
        other = self._group_of(self._users.keys() - users) if few else ""
        return f"everyone but {other}" if other else ""

    def _group_of(self, users: set[str]) -> str:
        """The group whose members are exactly these users."""
        found = (id_ for id_ in self._by_size.get(len(users), ()) if users == self._members[id_])
        return next(map(self.group, found), "")

    def ways(self, outcalls: Iterable[str | None]) -> str:
        """``through national``, ``through every outcall and through none``."""
        chosen = set(outcalls)
        ids = {id_ for id_ in chosen if id_ is not None}
        every = set(self._outcalls)
        none = None in chosen
        if not ids:
            return "through no outcall"
        if ids == every and len(every) > 1:
            return "through every outcall" + (" and through none" if none else "")
        missing = every - ids
        if len(ids) > _FEW and len(missing) <= _FEW:
            text = f"through every outcall but {_listed(sorted(self.outcall(id_) for id_ in missing))}"
        else:
            text = f"through {_listed([self.outcall(id_) for id_ in self._outcalls if id_ in ids])}"
        return text + (" and through none" if none else "")

    @cached_property
    def _members(self) -> dict[str, set[str]]:
        return {id_: set(group.users) for id_, group in self._groups.items()}

    @cached_property
    def _by_size(self) -> dict[int, list[str]]:
        sizes: dict[int, list[str]] = {}
        for id_, members in self._members.items():
            if members:
                sizes.setdefault(len(members), []).append(id_)
        return sizes


def together(pairs: Iterable[Pair]) -> list[tuple[tuple[str, ...], tuple[str | None, ...]]]:
    """Pairs of callers and an outcall, joined to as few rows as have the same outcalls; most callers first."""
    ways: dict[tuple[str, ...], list[str | None]] = {}
    for pair in pairs:
        ways.setdefault(pair.users, []).append(pair.outcall)
    rows: dict[tuple[bool, tuple[str | None, ...]], list[str]] = {}
    for users, outcalls in ways.items():
        rows.setdefault((not users, tuple(outcalls)), []).extend(users)
    joined = [(tuple(users), outcalls) for (_, outcalls), users in rows.items()]
    return sorted(joined, key=lambda row: -len(row[0]))


def numbers_text(regions: Regions, numbers: int) -> str:
    """A set of extensions as one pattern, or as few of those in question; empty where there is no such text."""
    names = regions.named
    if numbers in names:
        return names[numbers]
    inside = [(set_, text) for set_, text in names.items() if not set_ & ~numbers]
    chosen: list[str] = []
    left = numbers
    while left and inside and len(chosen) < _FEW:
        best, text = max(inside, key=lambda each: (each[0] & left).bit_count())
        if not best & left:
            break
        chosen.append(text)
        left &= ~best
    return "" if left else ", ".join(chosen)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
