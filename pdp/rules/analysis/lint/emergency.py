"""Emergency calls that are denied although a rule was written for these, and tenants without an emergency list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.rules.analysis.lint.finding import Mistake, Rank
from pdp.rules.analysis.rulings import NOBODY, Rulings
from pdp.rules.model import Decision, Mode, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pdp.rules.analysis.lint.finding import Call
    from pdp.rules.analysis.lint.subject import Subject
    from pdp.rules.analysis.rulings import Rights
    from pdp.rules.model import CallPermission

_SURE = frozenset({"112", "911", "999", "000", "110"})
"""An allow that lists one of these is there for emergencies."""
_LIKELY = frozenset({"15", "17", "18", "113", "114", "115", "116", "117", "118", "119", "122", "133", "144"})
"""An allow that lists two of these is there for emergencies: alone, each may be something else."""


def emergency(subject: Subject) -> Iterator[Mistake]:
    """Permissions that were written for emergency calls and do not let these through."""
    for permission in subject.tenant.call_permissions:
        numbers = _emergency_numbers(permission)
        if numbers and permission.enabled:
            yield from _beaten(subject, permission, numbers)
        elif numbers:
            yield from _disabled(subject, permission, numbers)


def denied_emergency(subject: Subject) -> Iterator[Mistake]:
    """Permissions that would deny a caller an emergency number, if the list did not go first."""
    tenant, regions = subject.tenant, subject.rulings.regions
    if not tenant.emergency:
        return
    alone = Rulings(tenant, regions, emergency=0)
    denied: dict[int, str] = {}
    for number in tenant.emergency:
        region = regions.region_of(number)
        for rights in subject.holders:
            for outcall in (None, *(each.id for each in tenant.outcalls)):
                decided = alone.decide(rights, outcall, region)
                if decided.decision is not Decision.ALLOW:
                    denied |= {id_: number for id_ in decided.permissions if id_ not in denied}
    for id_, number in denied.items():
        text = f"{subject.name(id_)} would deny {number}, which stays open, whatever permissions say"
        yield Mistake("emergency-number-denied", text, "leave emergency numbers out of its extensions", (id_,))


def no_list(subject: Subject) -> Iterator[Mistake]:
    """The tenant without an emergency list, with the callers that cannot call 112."""
    if subject.rulings.emergency:
        return
    rulings = subject.rulings
    region = rulings.regions.region_of("112")
    shut = [
        user
        for user, rights in rulings.rights.items()
        if rulings.decide(rights, None, region).decision is not Decision.ALLOW
    ]
    text = "there is no list of emergency numbers"
    if shut:
        text += f"; 112 is not allowed to {subject.names.people(tuple(shut))}"
    yield Mistake("no-emergency-list", text, "list them under emergency: no rule can close them then")


def _emergency_numbers(permission: CallPermission) -> list[str]:
    """The emergency numbers that a permission allows by name; none for a permission with another purpose."""
    if permission.mode is not Mode.ALLOW:
        return []
    listed = [text.replace("_", "") for text in permission.extensions]
    sure = [text for text in listed if text in _SURE]
    likely = [text for text in listed if text in _LIKELY]
    return [*sure, *likely] if sure or len(likely) > 1 else []


def _beaten(subject: Subject, permission: CallPermission, numbers: list[str]) -> Iterator[Mistake]:
    """Own denies of users whose group may make emergency calls."""
    for rights in subject.holders:
        if permission.id in rights.groups:
            found = [each for each in (_closed(subject, permission, rights, number) for number in numbers) if each]
            yield from sorted(found, key=lambda mistake: mistake.rank)[:1]


def _closed(subject: Subject, permission: CallPermission, rights: Rights, number: str) -> Mistake | None:
    """An own deny of an emergency number that a group is allowed; of low rank where another own one allows it."""
    rulings = subject.rulings
    region = rulings.regions.region_of(number)
    denies = tuple(deny.id for deny in subject.denies(rights.own) if rulings.set_of(deny.id) & region)
    if not denies or region & rulings.emergency:
        return None
    call = subject.call_of(rights, None, number)
    own = subject.names.rule(denies[0], Stage.USER, call.caller, None)
    text = f"{own} stands before {subject.name(permission.id)}, which allows {number} to a group; {subject.shown(call)}"
    remedy = f"list {number} under emergency, or put permission {permission.id} on the user as well"
    rank = Rank.LOW if call.decision is Decision.ALLOW else None
    ids = (*denies, permission.id)
    return Mistake("deny-all-on-user-beats-group-emergency", text, remedy, ids, call=call, less=rank)


def _disabled(subject: Subject, permission: CallPermission, numbers: list[str]) -> Iterator[Mistake]:
    """The first emergency call that the permission would let through and others deny, with all that deny any."""
    rulings = subject.rulings
    groups = set(permission.groups)
    members = {user for group in subject.tenant.groups if group.id in groups for user in group.users}
    callers = [user for user in rulings.rights if user in members or user in permission.users]
    ways = dict.fromkeys([(rulings.rights[user], None) for user in callers])
    denying: dict[int, None] = {}
    first: Call | None = None
    for rights, outcall in [*ways, *((NOBODY, outcall) for outcall in permission.outcalls)]:
        for number in numbers:
            decided = rulings.decide(rights, outcall, rulings.regions.region_of(number))
            if decided.decision is not Decision.ALLOW:
                denying.update(dict.fromkeys(decided.permissions))
                first = first or subject.call_of(rights, outcall, number)
    if first is not None:
        by = subject.name(next(iter(denying)))
        text = f"{subject.name(permission.id)} is disabled; {subject.shown(first)} by {by}"
        remedy = f"enable permission {permission.id}, or list {first.extension} under emergency"
        matched = rulings.regions.any_of(numbers)
        standing = [each.id for rights, _ in ways for ids in rights for each in subject.denies(ids)]
        others = dict.fromkeys(id_ for id_ in standing if rulings.set_of(id_) & matched)
        ids = (permission.id, *(denying | others))
        yield Mistake("emergency-permission-disabled", text, remedy, ids, call=first)
