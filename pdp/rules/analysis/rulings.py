"""The decisions of a tenant's rules, as sets of extensions.

A *ruling* is the joint result of some permissions in one stage, or in stages one after another: the extensions allowed,
denied and challenged; extensions in none of these stay open for the next stage. A *class* is users with the same ruling
of USER and GROUP: users of a class, also of different groups, get the same decision on every call. So 10,000 users are
some hundreds of classes, and everything else is worked out for classes alone.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from pdp.rules.model import Decision, Mode, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pdp.rules.analysis.regions import Regions
    from pdp.rules.model import CallPermission, Tenant

Ids = tuple[int, ...]
"""Ids of permissions, ascending."""


class Ruling(NamedTuple):
    """Sets of extensions, disjoint."""

    allow: int
    deny: int
    challenge: int

    @property
    def decided(self) -> int:
        """The extensions that are not open."""
        return self.allow | self.deny | self.challenge

    def then(self, later: Ruling) -> Ruling:
        """This stage, followed by another one for the extensions left open."""
        left = ~self.decided
        return Ruling(
            self.allow | later.allow & left, self.deny | later.deny & left, self.challenge | later.challenge & left
        )

    def of(self, decision: Decision) -> int:
        """The extensions with this decision."""
        if decision is Decision.DENY:
            return self.deny
        return self.challenge if decision is Decision.CHALLENGE else self.allow


SILENT = Ruling(0, 0, 0)
LENIENCY = {Decision.DENY: 0, Decision.CHALLENGE: 1, Decision.ALLOW: 2}
"""Decisions from the strictest on; of two readings of an extension the stricter decision stands."""


class Decided(NamedTuple):
    """The decision on one call.

    Attributes:
        decision: ALLOW, DENY or CHALLENGE.
        stage: the stage that decides; None: before all stages, by the emergency list or the server's policy.
        permissions: the ids of all permissions that decide together, ascending.
    """

    decision: Decision
    stage: Stage | None
    permissions: Ids


class Rights(NamedTuple):
    """The active permissions of a caller: own ones, and those of the caller's enabled groups."""

    own: Ids
    groups: Ids


NOBODY = Rights((), ())
"""The rights of a caller that is no user."""


STRANGER = "?"
"""The stand-in for any UUID without a user."""


class Policy(NamedTuple):
    """The policy of a server on callers and outcalls that its tenants do not know."""

    deny_unknown_caller: bool = False
    deny_unknown_outcall: bool = False


class Rulings:
    """The rulings of one tenant's rules, over regions that include the tenant's patterns.

    Args:
        tenant: the tenant with its rules.
        regions: made from the tenant's patterns, and maybe others.
        emergency: the extensions that are allowed before any rule, as a set of readings; None: those of the regions.

    Attributes:
        emergency: the extensions that are allowed before any rule, as a set of readings.
        universe: every extension, as a set of readings.
        permissions: those that are active (enabled, and with a pattern), by id.
        rights: the rights of each user, by UUID.
        outcalls: the active permissions of each outcall, by id.
    """

    def __init__(self, tenant: Tenant, regions: Regions, emergency: int | None = None) -> None:
        self.tenant = tenant
        self.regions = regions
        self.emergency = emergency = regions.emergency if emergency is None else emergency
        self.universe = regions.every_reading
        self.permissions = active_permissions(tenant)
        self._sets = {id_: regions.any_of(permission.extensions) for id_, permission in self.permissions.items()}
        self._stages: dict[Ids, Ruling] = {}
        self._of_rights: dict[Rights, Ruling] = {}
        self._first = Ruling(emergency, 0, 0)
        self.rights = rights_of(tenant, self.permissions)
        self.outcalls = outcalls_of(tenant, self.permissions)

    def set_of(self, permission: int) -> int:
        """The readings that an active permission matches."""
        return self._sets[permission]

    def stage(self, ids: Ids) -> Ruling:
        """The joint ruling of permissions in one stage."""
        ruling = self._stages.get(ids)
        if ruling is None:
            allow = deny = challenge = 0
            for id_ in ids:
                permission = self.permissions[id_]
                if permission.mode is Mode.ALLOW:
                    allow |= self._sets[id_]
                elif permission.password is None:
                    deny |= self._sets[id_]
                else:
                    challenge |= self._sets[id_]
            ruling = self._stages[ids] = Ruling(allow, deny & ~allow, challenge & ~allow & ~deny)
        return ruling

    def of_caller(self, rights: Rights) -> Ruling:
        """The ruling of the stages before the outcall's."""
        return self._first.then(self.stage(rights.own)).then(self.stage(rights.groups))

    def of_stranger(self, policy: Policy) -> Ruling:
        """The ruling of the stages before the outcall's for a UUID without a user."""
        return self._first.then(Ruling(0, self.universe, 0)) if policy.deny_unknown_caller else self._first

    def of_outcall(self, outcall: str | None) -> Ruling:
        """The ruling of the outcall's permissions; all open for None, or for an outcall unknown to the tenant."""
        return self.stage(self.outcalls.get(outcall, ())) if outcall is not None else SILENT

    def classes(self, users: Iterable[str] | None = None) -> dict[Ruling, list[str]]:
        """Users, all or these, by the ruling of the stages before the outcall's."""
        return self._everyone if users is None else self._classes(users)

    @cached_property
    def _everyone(self) -> dict[Ruling, list[str]]:
        return self._classes(self.rights)

    def _classes(self, users: Iterable[str]) -> dict[Ruling, list[str]]:
        of_rights = self._of_rights
        found: dict[Ruling, list[str]] = {}
        for user in users:
            rights = self.rights[user]
            ruling = of_rights.get(rights)
            if ruling is None:
                ruling = of_rights[rights] = self.of_caller(rights)
            found.setdefault(ruling, []).append(user)
        return found

    def stages(self, rights: Rights, outcall: str | None) -> Iterator[tuple[Stage, Ids]]:
        """The stages of a call in their order, with the permissions in each."""
        yield Stage.USER, rights.own
        yield Stage.GROUP, rights.groups
        yield Stage.OUTCALL, self.outcalls.get(outcall, ()) if outcall is not None else ()

    def final(self, ruling: Ruling) -> Ruling:
        """The decisions on all extensions if no stage follows: open ones are allowed.

        Of two readings of an extension the stricter decision stands.

        Args:
            ruling: sets of readings.

        Returns:
            sets of extensions.
        """
        extensions = self.regions.extensions
        deny = extensions(ruling.deny)
        challenge = extensions(ruling.challenge) & ~deny
        return Ruling(self.regions.universe & ~(deny | challenge), deny, challenge)

    def decide(self, rights: Rights, outcall: str | None, region: int) -> Decided:
        """The decision on extensions of one region, and the permissions that decide.

        Args:
            rights: the rights of the caller.
            outcall: the outcall's id; None: without an outcall.
            region: the region, as a set of extensions or of readings.
        """
        first = region & self.regions.universe
        decided = self._decide(rights, outcall, first)
        if self.regions.readings(first) == first:
            return decided
        other = self._decide(rights, outcall, first << self.regions.count)
        return min(decided, other, key=lambda one: LENIENCY[one.decision])

    def _decide(self, rights: Rights, outcall: str | None, region: int) -> Decided:
        """The decision on one reading of a region."""
        if region & self.emergency:
            return Decided(Decision.ALLOW, None, ())
        for stage, ids in self.stages(rights, outcall):
            matching = [self.permissions[id_] for id_ in ids if self._sets[id_] & region]
            if matching:
                return _decided(stage, matching)
        return Decided(Decision.ALLOW, Stage.NONE, ())

    def decide_known(
        self,
        caller: str,
        outcall: str | None,
        region: int,
        policy: Policy = Policy(),  # noqa: B008 - immutable
    ) -> Decided:
        """The decision on extensions of one region for a caller that may be unknown, and the permissions that decide.

        Args:
            caller: a UUID; empty: the caller has none.
            outcall: the outcall's id; None: without an outcall.
            region: the region, as a set.
            policy: the policy on unknown callers and outcalls.
        """
        unknown_caller = bool(caller) and caller not in self.rights
        unknown_outcall = outcall is not None and outcall not in self.outcalls
        caller_denied = unknown_caller and policy.deny_unknown_caller
        outcall_denied = unknown_outcall and policy.deny_unknown_outcall
        if (caller_denied or outcall_denied) and not region & self.emergency:
            return Decided(Decision.DENY, None, ())
        return self.decide(self.rights.get(caller, NOBODY), outcall, region)

    def deciders(self, ids: Ids, numbers: int) -> list[int]:
        """The permissions of a stage that decide any of these extensions."""
        ruling = self.stage(ids)
        found = []
        for id_ in ids:
            permission = self.permissions[id_]
            own = self._sets[id_] & numbers
            if permission.mode is Mode.ALLOW:
                decides = own
            elif permission.password is None:
                decides = own & ruling.deny
            else:
                decides = own & ruling.challenge & ~self._above(ids, id_)
            if decides:
                found.append(id_)
        return found

    def _above(self, ids: Ids, id_: int) -> int:
        """The extensions of permissions with a password and a higher id, whose passwords are asked for instead."""
        above = 0
        for other in ids:
            if other > id_ and _asks(self.permissions[other]):
                above |= self._sets[other]
        return above

    def decides(self, ids: Ids, id_: int) -> int:
        """The extensions that one permission of a stage decides, alone or together with equals."""
        permission = self.permissions[id_]
        if permission.mode is Mode.ALLOW:
            return self._sets[id_]
        ruling = self.stage(ids)
        if permission.password is None:
            return self._sets[id_] & ruling.deny
        return self._sets[id_] & ruling.challenge & ~self._above(ids, id_)


def _asks(permission: CallPermission) -> bool:
    return permission.mode is Mode.DENY and permission.password is not None


def _decided(stage: Stage, matching: list[CallPermission]) -> Decided:
    allows = [permission.id for permission in matching if permission.mode is Mode.ALLOW]
    if allows:
        return Decided(Decision.ALLOW, stage, tuple(sorted(allows)))
    denies = [permission.id for permission in matching if permission.password is None]
    if denies:
        return Decided(Decision.DENY, stage, tuple(sorted(denies)))
    return Decided(Decision.CHALLENGE, stage, (max(permission.id for permission in matching),))


def active_permissions(tenant: Tenant) -> dict[int, CallPermission]:
    """The permissions that are enabled and have a pattern, by id."""
    return {each.id: each for each in tenant.call_permissions if each.enabled and each.extensions}


def rights_of(tenant: Tenant, permissions: dict[int, CallPermission]) -> dict[str, Rights]:
    """The rights of each user, by UUID, out of these permissions."""
    own: dict[str, list[int]] = {}
    of_group: dict[str, list[int]] = {}
    for permission in permissions.values():
        for user in permission.users:
            own.setdefault(user, []).append(permission.id)
        for group in permission.groups:
            of_group.setdefault(group, []).append(permission.id)
    memberships: dict[str, list[str]] = {}
    for each in tenant.groups:
        if each.enabled and each.id in of_group:
            for member in each.users:
                memberships.setdefault(member, []).append(each.id)
    together: dict[tuple[str, ...], Ids] = {(): ()}
    alone = {uuid: tuple(sorted(ids)) for uuid, ids in own.items()}
    rights = {}
    for caller in tenant.users:
        groups = tuple(memberships.get(caller.uuid, ()))
        ids = together.get(groups)
        if ids is None:
            ids = together[groups] = tuple(sorted({id_ for group in groups for id_ in of_group[group]}))
        rights[caller.uuid] = Rights(alone.get(caller.uuid, ()), ids)
    return rights


def outcalls_of(tenant: Tenant, permissions: dict[int, CallPermission]) -> dict[str, Ids]:
    """The permissions of each outcall, by id, out of these permissions."""
    found: dict[str, list[int]] = {outcall.id: [] for outcall in tenant.outcalls}
    for permission in permissions.values():
        for outcall in permission.outcalls:
            found[outcall].append(permission.id)
    return {outcall: tuple(sorted(ids)) for outcall, ids in found.items()}
