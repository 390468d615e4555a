"""The permissions and patterns that decide calls, those that never do and why, and those that could be removed."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from pdp.rules.analysis.rulings import NOBODY, SILENT, Rights, Ruling
from pdp.rules.model import Mode, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pdp.rules.analysis.rulings import Ids, Rulings
    from pdp.rules.model import CallPermission, Tenant


class Cause(StrEnum):
    """The reason that a permission or pattern never decides."""

    DISABLED = "disabled"
    NO_PATTERN = "no_pattern"
    NO_ASSOCIATION = "no_association"
    ONLY_DISABLED_GROUPS = "only_disabled_groups"
    ONLY_EMPTY_GROUPS = "only_empty_groups"
    EMERGENCY = "emergency"
    """The emergency list decides first."""
    EARLIER_STAGE = "earlier_stage"
    SAME_STAGE = "same_stage"


Takers = dict[Cause, dict[Stage, set[int]]]
"""The permissions that take extensions from a permission, by cause and by stage of that permission."""


@dataclass(frozen=True, slots=True)
class Idle:
    """A permission, or one of its patterns, that decides no call of any caller.

    Attributes:
        permission: the permission's id.
        pattern: the pattern; empty: the whole permission.
        causes: the reasons.
        by: the permissions that decide instead.
    """

    permission: int
    pattern: str
    causes: tuple[Cause, ...]
    by: Takers = field(default_factory=dict)


class Place(NamedTuple):
    """Callers alike in rights, in one stage.

    Attributes:
        rights: the rights of the callers.
        stage: the stage.
        ids: the permissions in the stage.
        outcall: the outcall of the stage OUTCALL; else None.
    """

    rights: Rights
    stage: Stage
    ids: Ids
    outcall: str | None


class Effects:
    """The effects of each permission of a tenant.

    Args:
        rulings: the tenant's.

    Attributes:
        decided: for each active permission the extensions that the permission decides for any caller through any
            outcall, alone or together with equals.
    """

    def __init__(self, rulings: Rulings) -> None:
        self._rulings = rulings
        self._rights = list(dict.fromkeys(rulings.rights.values()))
        self.decided = dict.fromkeys(rulings.permissions, 0)
        for place in self._places(nobody_only=True):
            open_ = self._left(place)
            for id_ in place.ids:
                self.decided[id_] |= rulings.decides(place.ids, id_) & open_

    def idle_permissions(self) -> list[Idle]:
        """The permissions that decide no call of any caller, by id."""
        tenant = self._rulings.tenant
        found = []
        lost = {(id_, ""): self._rulings.set_of(id_) for id_, numbers in self.decided.items() if not numbers}
        takers = self._takers(lost)
        for permission in sorted(tenant.call_permissions, key=lambda permission: permission.id):
            if not self.decided.get(permission.id):
                causes = _structural(permission, tenant)
                by = {} if causes else takers[permission.id, ""]
                found.append(Idle(permission.id, "", causes or tuple(kind for kind in Cause if kind in by), by))
        return found

    def idle_patterns(self) -> list[Idle]:
        """The patterns that decide no call, of permissions that do."""
        rulings = self._rulings
        lost = {
            (id_, text): rulings.regions.numbers(text)
            for id_, numbers in sorted(self.decided.items())
            if numbers
            for text in sorted(set(rulings.permissions[id_].extensions))
            if not rulings.regions.numbers(text) & numbers
        }
        takers = self._takers(lost)
        return [Idle(*key, tuple(kind for kind in Cause if kind in takers[key]), takers[key]) for key in lost]

    def idle_for_users(self) -> list[int]:
        """The permissions that decide no call of a known user, and only calls of callers that are no user."""
        rulings = self._rulings
        left = {id_ for id_, numbers in self.decided.items() if numbers}
        for place in self._places(nobody_only=False):
            if place.rights is NOBODY:
                continue
            open_ = self._left(place)
            left -= {id_ for id_ in left.intersection(place.ids) if rulings.decides(place.ids, id_) & open_}
        return sorted(left)

    def covered_patterns(self) -> list[tuple[int, str]]:
        """Patterns that the others of the same permission contain, of the permissions that take part."""
        rulings = self._rulings
        found = []
        for id_, permission in sorted(rulings.permissions.items()):
            texts = list(dict.fromkeys(permission.extensions))
            for text in texts:
                others = rulings.regions.any_of(other for other in texts if other != text)
                if not rulings.regions.numbers(text) & ~others:
                    found.append((id_, text))
        return found

    def removable(self) -> list[int]:
        """The permissions that take part somewhere, each of which could be removed alone without a changed decision."""
        rulings = self._rulings
        before = list(dict.fromkeys([NOBODY, *self._rights]))
        taking_part = {id_ for rights in before for ids in rights for id_ in ids}
        taking_part.update(*rulings.outcalls.values())
        needed: set[int] = set()
        outs = dict.fromkeys([SILENT, *(rulings.stage(ids) for ids in rulings.outcalls.values())])
        for rights in before:
            for id_ in set(rights.own + rights.groups) - needed:
                less = Rights(_without(rights.own, id_), _without(rights.groups, id_))
                if self._differs(rulings.of_caller(rights), rulings.of_caller(less), outs):
                    needed.add(id_)
        # No stage stands before the outcall's for callers that are no user; only a second reading is beside it.
        callers = [rulings.of_caller(rights) for rights in (before if rulings.regions.has_two_readings else [NOBODY])]
        for ids in dict.fromkeys(rulings.outcalls.values()):
            for id_ in set(ids) - needed:
                one, less_out = rulings.stage(ids), rulings.stage(_without(ids, id_))
                if any(rulings.final(caller.then(one)) != rulings.final(caller.then(less_out)) for caller in callers):
                    needed.add(id_)
        return sorted(taking_part - needed)

    def _differs(self, one: Ruling, other: Ruling, outs: Iterable[Ruling]) -> bool:
        final = self._rulings.final
        return one != other and any(final(one.then(out)) != final(other.then(out)) for out in outs)

    def _places(self, *, nobody_only: bool) -> Iterator[Place]:
        """The places of permissions; the stage OUTCALL only for callers that are no user, or for all."""
        for rights in self._rights:
            yield Place(rights, Stage.USER, rights.own, None)
            yield Place(rights, Stage.GROUP, rights.groups, None)
        for outcall, ids in self._rulings.outcalls.items():
            for rights in (NOBODY,) if nobody_only else (NOBODY, *self._rights):
                yield Place(rights, Stage.OUTCALL, ids, outcall)

    def _left(self, place: Place) -> int:
        """The extensions that the stages before leave to a stage."""
        rulings = self._rulings
        if place.stage is Stage.USER:
            return rulings.universe & ~rulings.emergency
        if place.stage is Stage.GROUP:
            return rulings.universe & ~(rulings.emergency | rulings.stage(place.rights.own).decided)
        return rulings.universe & ~rulings.of_caller(place.rights).decided

    def _takers(self, lost: dict[_Key, int]) -> dict[_Key, Takers]:
        """The permissions, by cause and stage, that take extensions from permissions that never decide those.

        Args:
            lost: the extensions, by permission and pattern.
        """
        found: dict[_Key, Takers] = {key: {} for key in lost}
        of_permission: dict[int, list[_Key]] = {}
        for key, numbers in lost.items():
            of_permission.setdefault(key[0], []).append(key)
            if numbers & self._rulings.emergency:
                found[key][Cause.EMERGENCY] = {}
        everything_earlier = {id_ for rights in self._rights for ids in rights for id_ in ids}
        for place in self._places(nobody_only=True):
            left = -1
            for id_ in of_permission.keys() & set(place.ids):
                left = self._left(place) if left < 0 else left
                earlier = everything_earlier if place.stage is Stage.OUTCALL else self._before(place)
                for key in of_permission[id_]:
                    self._note_takers(found[key], place, id_, (lost[key] & ~self._rulings.emergency, left), earlier)
        return found

    @staticmethod
    def _before(place: Place) -> Iterable[int]:
        return place.rights.own if place.stage is Stage.GROUP else ()

    def _note_takers(
        self, takers: Takers, place: Place, id_: int, numbers: tuple[int, int], earlier: Iterable[int]
    ) -> None:
        """Adds the permissions that take extensions from a permission at one of its places.

        Args:
            takers: the result, which is added to.
            place: one of the permission's places.
            id_: the permission.
            numbers: the extensions, and the rest of all extensions that the stages before leave.
            earlier: the permissions in the stages before.
        """
        set_of, permissions = self._rulings.set_of, self._rulings.permissions
        lost, left = numbers
        _note(takers, Cause.EARLIER_STAGE, place.stage, (other for other in earlier if set_of(other) & lost))
        outranking = (other for other in place.ids if _outranks(permissions[other], permissions[id_]))
        _note(takers, Cause.SAME_STAGE, place.stage, (other for other in outranking if set_of(other) & lost & left))


_Key = tuple[int, str]
"""A permission, and one of its patterns; an empty text: the whole permission."""


def _note(takers: Takers, cause: Cause, stage: Stage, permissions: Iterable[int]) -> None:
    taken = set(permissions)
    if taken:
        takers.setdefault(cause, {}).setdefault(stage, set()).update(taken)


def _outranks(one: CallPermission, other: CallPermission) -> bool:
    """Whether the first prevails over the second within a stage."""
    return _rank(one) < _rank(other)


def _rank(permission: CallPermission) -> tuple[int, int]:
    if permission.mode is Mode.ALLOW:
        return 0, 0
    return (1, 0) if permission.password is None else (2, -permission.id)


def _without(ids: Ids, id_: int) -> Ids:
    return tuple(other for other in ids if other != id_)


def _structural(permission: CallPermission, tenant: Tenant) -> tuple[Cause, ...]:
    """The reasons that a permission takes part in no call, apart from other permissions; empty if there is a call."""
    causes = [Cause.DISABLED] if not permission.enabled else []
    if not permission.extensions:
        causes.append(Cause.NO_PATTERN)
    if not permission.users and not permission.outcalls:
        groups = [group for group in tenant.groups if group.id in permission.groups]
        if not groups:
            causes.append(Cause.NO_ASSOCIATION)
        elif all(not group.enabled or not group.users for group in groups):
            causes += [Cause.ONLY_DISABLED_GROUPS] if not all(group.enabled for group in groups) else []
            causes += [Cause.ONLY_EMPTY_GROUPS] if any(group.enabled for group in groups) else []
    return tuple(causes)
