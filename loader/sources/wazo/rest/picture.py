"""The loader's picture of a platform: every item as read last, by tenant.

Items are read one by one, or a list at a time; a reading replaces the known item, unless that came from a later
request. Membership of groups has two records: the group names the members that are called through lines, and a user
names all of the user's groups. The user's record counts: members that name a group and are not named there are called
through a ``Local/`` channel, or have left. So those users are read again (``doubtful``).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from loader.sources.wazo.events import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

Thing: TypeAlias = dict[str, Any]
"""An item of wazo-confd, reduced to the fields that the rules need."""


class Seen(NamedTuple):
    """An item as read.

    Attributes:
        kind: the kind of item.
        id: as in ``events.Part``.
        tenant: the UUID of the item's tenant; empty for a removed item.
        thing: the item's content; empty for a removed item.
    """

    kind: Kind
    id: str
    tenant: str
    thing: Thing


_REFERABLE: Final = (Kind.USERS, Kind.GROUPS, Kind.OUTCALLS)


class _Shelf:
    """The items of one kind and tenant, in the order of their ids."""

    def __init__(self) -> None:
        self.things: dict[str, Thing] = {}
        self._order: list[tuple[int, str]] = []

    def put(self, id_: str, thing: Thing) -> None:
        """Adds or replaces an item."""
        if id_ not in self.things:
            place = _place(id_)
            self._order.insert(bisect_left(self._order, place), place)
        self.things[id_] = thing

    def drop(self, id_: str) -> None:
        """Removes an item."""
        if self.things.pop(id_, None) is not None:
            del self._order[bisect_left(self._order, _place(id_))]

    def in_order(self) -> list[Thing]:
        """The items, sorted by id: numbers first, then texts."""
        return [self.things[id_] for _, id_ in self._order]


class Picture:
    """The known items of a platform. One thread writes; others may look up ids.

    Attributes:
        tenants: the names of the existing tenants, by UUID.
        changed: tenants that changed since they were taken from here.
        doubtful: users whose groups must be read.
        missing: unknown items that a permission names.
        stand_ins: what stands for the passwords of users that are known from published rules alone, by UUID.
        resumed: the tenants of these users.
    """

    def __init__(self) -> None:
        self.tenants: dict[str, str] = {}
        self.changed: set[str] = set()
        self.doubtful: set[str] = set()
        self.missing: set[tuple[Kind, str]] = set()
        self.stand_ins: dict[str, str] = {}
        self.resumed: set[str] = set()
        self._shelves: dict[Kind, defaultdict[str, _Shelf]] = {kind: defaultdict(_Shelf) for kind in Kind}
        self._tenant_of: dict[Kind, dict[str, str]] = {kind: {} for kind in Kind}
        self._asked: dict[tuple[Kind, str], int] = {}
        """The number of the request that read each item last, including removed items."""
        self._tenants_asked = 0
        self._groups_of: dict[str, frozenset[str]] = {}
        self._naming: defaultdict[str, set[str]] = defaultdict(set)
        """The users that name a group, by the group's id."""
        self._direct: dict[str, frozenset[str]] = {}
        """The users that a group names."""
        self._awaited: defaultdict[str, set[str]] = defaultdict(set)
        """The groups that name a user who is not known yet."""
        self._confirmed: set[tuple[str, str]] = set()
        """Groups and users that name them, confirmed by a second reading."""
        self._shown: dict[str, Thing] = {}
        """Groups in the form for definitions, until they change."""

    def tenant_of(self, kind: Kind, id_: str) -> str:
        """The tenant of an item; empty if unknown."""
        return self._tenant_of[kind].get(id_, "")

    def ids(self, kind: Kind, tenant: str | None = None) -> list[str]:
        """The ids of the known items of a kind, of one tenant or of all."""
        return list(self._tenant_of[kind] if tenant is None else self._shelves[kind][tenant].things)

    def put_tenants(self, names: dict[str, str], asked: int) -> None:
        """Takes over the list of tenants, by UUID, except those of later requests. Other tenants are removed."""
        if asked < self._tenants_asked:
            return
        self._tenants_asked = asked
        for gone in self.tenants.keys() - names.keys():
            self.changed.add(gone)
            for kind in (Kind.PERMISSIONS, Kind.OUTCALLS, Kind.GROUPS, Kind.USERS):  # in this order with little work
                for id_ in self.ids(kind, gone):
                    self._drop(kind, id_)
        self.changed |= {uuid for uuid, name in names.items() if self.tenants.get(uuid) != name}
        self.tenants = names

    def put(self, seen: Iterable[Seen], asked: int, *, sweeping: bool = False) -> None:
        """Takes over an item as read.

        Args:
            seen: the item.
            asked: a number that grows from request to request; items of later requests stay.
            sweeping: the users were read shortly before the groups, so only new contradictions count.
        """
        for each in seen:
            if asked < self._asked.get((each.kind, each.id), 0):
                continue
            self._asked[each.kind, each.id] = asked
            if each.kind is Kind.USERS:
                self.stand_ins.pop(each.id, None)
            if not each.tenant:
                self._drop(each.kind, each.id)
                continue
            before = self._tenant_of[each.kind].get(each.id)
            if before is not None and before != each.tenant:
                self._drop(each.kind, each.id)
            self._tenant_of[each.kind][each.id] = each.tenant
            if each.kind is Kind.USERS:
                self._put_user(each)
            elif each.kind is Kind.GROUPS:
                self._put_group(each, sweeping=sweeping)
            else:
                self._replace(each.kind, each.tenant, each.id, each.thing)

    def resume(self, tenant: str, users: Iterable[tuple[Thing, str | None]]) -> None:
        """Takes over a tenant's users as published last, each with what stands for the password, if there is one."""
        self.resumed.add(tenant)
        for thing, stand_in in users:
            self.put([Seen(Kind.USERS, thing["uuid"], tenant, thing)], 0)
            if stand_in:
                self.stand_ins[thing["uuid"]] = stand_in

    def put_list(self, kind: Kind, seen: list[Seen], asked: int, tenant: str | None = None) -> None:
        """Takes over a whole list, of one tenant or of all: absent items are removed, except later ones."""
        there = {each.id for each in seen}
        gone = [Seen(kind, id_, "", {}) for id_ in self.ids(kind, tenant) if id_ not in there]
        self.put([*seen, *gone], asked, sweeping=True)

    def definition(self, tenant: str) -> dict[str, Any]:
        """The tenant in the definitions format; what did not change are the objects of the last time."""
        groups = self._shelves[Kind.GROUPS][tenant]
        return {
            "uuid": tenant,
            "name": self.tenants.get(tenant, ""),
            "users": self._shelves[Kind.USERS][tenant].in_order(),
            "groups": [self._group(group) for group in groups.in_order()],
            "outcalls": self._shelves[Kind.OUTCALLS][tenant].in_order(),
            "call_permissions": self._shelves[Kind.PERMISSIONS][tenant].in_order(),
        }

    def forget_gone(self, asked: int) -> None:
        """Drops the memory of removed items that were read before this request."""
        self._asked = {key: at for key, at in self._asked.items() if at >= asked or key[1] in self._tenant_of[key[0]]}

    def _replace(self, kind: Kind, tenant: str, id_: str, thing: Thing) -> None:
        shelf = self._shelves[kind][tenant]
        if shelf.things.get(id_) == thing:
            return
        shelf.put(id_, thing)
        self.changed.add(tenant)
        if kind is Kind.PERMISSIONS:
            for referable in _REFERABLE:
                references = thing[referable] if isinstance(thing[referable], list) else ()
                known = self._tenant_of[referable]
                named = {(referable, each) for each in references if isinstance(each, str) and each not in known}
                self.missing |= {each for each in named if each not in self._asked}

    def _put_user(self, seen: Seen) -> None:
        user, thing = seen.id, dict(seen.thing)
        groups = thing.pop("groups", [])
        now = frozenset(each for each in groups if isinstance(each, str)) if isinstance(groups, list) else frozenset()
        before = self._groups_of.get(user, frozenset()) | self._awaited.pop(user, set())
        for group in before - now:
            self._leave(group, user)
        for group in now - before:
            self._naming[group].add(user)
            self._show_again(group)
        self._confirmed |= {(group, user) for group in now if user not in self._direct.get(group, (user,))}
        self._groups_of[user] = now
        self._replace(Kind.USERS, seen.tenant, user, thing)

    def _put_group(self, seen: Seen, *, sweeping: bool) -> None:
        group = seen.id
        known = self._tenant_of[Kind.USERS]
        direct = self._direct[group] = frozenset(_texts(seen.thing["users"]))
        for user in direct - known.keys():
            self._awaited[user].add(group)
        for user in (direct & known.keys()) - self._naming[group]:
            self._groups_of[user] = self._groups_of.get(user, frozenset()) | {group}
            self._naming[group].add(user)
            self._show_again(group)
        others = self._naming[group] - direct
        if sweeping:
            others = {user for user in others if (group, user) not in self._confirmed}
        self.doubtful |= others & known.keys()
        if self._shelves[Kind.GROUPS][seen.tenant].things.get(group) != seen.thing:
            self._show_again(group)
        self._replace(Kind.GROUPS, seen.tenant, group, seen.thing)

    def _leave(self, group: str, user: str) -> None:
        """Removes the user from the group, against the group's earlier record."""
        self._naming[group].discard(user)
        self._confirmed.discard((group, user))
        tenant = self._tenant_of[Kind.GROUPS].get(group)
        if tenant is None:
            return
        if user in self._direct[group]:
            shelf = self._shelves[Kind.GROUPS][tenant]
            thing = shelf.things[group]
            shelf.put(group, {**thing, "users": [each for each in thing["users"] if each != user]})
            self._direct[group] -= {user}
        self._show_again(group)

    def _drop(self, kind: Kind, id_: str) -> None:
        """Removes an item and all references to the item, as Wazo does."""
        tenant = self._tenant_of[kind].pop(id_, None)
        if tenant is None:
            return
        self._shelves[kind][tenant].drop(id_)
        self.changed.add(tenant)
        if kind is Kind.USERS:
            for group in self._groups_of.pop(id_, frozenset()):
                self._leave(group, id_)
        elif kind is Kind.GROUPS:
            self._shown.pop(id_, None)
            self._direct.pop(id_, None)
        if kind is not Kind.PERMISSIONS:
            shelf = self._shelves[Kind.PERMISSIONS][tenant]
            naming = [(key, each) for key, each in shelf.things.items() if id_ in _texts(each[kind])]
            for key, each in naming:
                shelf.put(key, {**each, kind.value: [reference for reference in each[kind] if reference != id_]})

    def _show_again(self, group: str) -> None:
        self._shown.pop(group, None)
        if group in self._tenant_of[Kind.GROUPS]:
            self.changed.add(self._tenant_of[Kind.GROUPS][group])

    def _group(self, thing: Thing) -> Thing:
        """The group with all members, from both records."""
        id_ = str(thing["id"])
        shown = self._shown.get(id_)
        if shown is None:
            members = thing["users"]
            if isinstance(members, list):
                named = set(_texts(members))
                members = _sorted([*members, *(user for user in self._naming[id_] if user not in named)])
            shown = self._shown[id_] = {**thing, "users": members}
        return shown


def _texts(values: object) -> list[str]:
    return [each for each in values if isinstance(each, str)] if isinstance(values, list) else []


def _sorted(values: list[Any]) -> list[Any]:
    return sorted(values, key=lambda value: (type(value).__name__, str(value)))


def _place(id_: str) -> tuple[int, str]:
    return (len(id_), id_) if id_.isdecimal() else (1 << 30, id_)
