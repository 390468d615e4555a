"""Calls that break an expectation: all of these as sets, and one as an example with possible remedies."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from pdp.rules.analysis.rulings import NOBODY, STRANGER, Policy
from pdp.rules.model import Decision, Mode, Stage

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pdp.rules.analysis.regions import Regions
    from pdp.rules.analysis.rulings import Decided, Ids, Rulings
    from pdp.rules.model import CallPermission


class Pair(NamedTuple):
    """Callers with the same rights, and an outcall.

    Attributes:
        users: UUIDs; empty: callers that are no user.
        outcall: the outcall's id; None: without an outcall.
    """

    users: tuple[str, ...]
    outcall: str | None


@dataclass(frozen=True, slots=True)
class Violation:
    """Calls that break an expectation.

    Attributes:
        numbers: the extensions, as a set.
        decisions: the wrong decisions on these calls.
        pairs: the callers and outcalls, each with all of these extensions.
        regions: the regions that the set is made of.
    """

    numbers: int
    decisions: tuple[Decision, ...]
    pairs: tuple[Pair, ...]
    regions: Regions = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Counterexample:
    """One call that breaks an expectation.

    Attributes:
        caller: a user's UUID; empty: a caller that is no user.
        outcall: the outcall's id; None: without an outcall.
        extension: the text that is dialled.
        decided: the decision and the permissions that decide.
        outranked: permissions of the call that would give the right decision without the permissions that decide.
        outranked_stage: the stage of those permissions.
        elsewhere: permissions that would, if enabled and associated with the call.
    """

    caller: str
    outcall: str | None
    extension: str
    decided: Decided
    outranked: Ids = ()
    outranked_stage: Stage | None = None
    elsewhere: Ids = ()


def counterexample(
    rulings: Rulings, violations: Sequence[Violation], policy: Policy, must: Collection[Decision]
) -> Counterexample:
    """The best example of some violations, at least one; ``must`` holds the right decisions."""
    best = min(violations, key=lambda violation: violation.numbers & -violation.numbers)
    pair = best.pairs[0]
    caller = pair.users[0] if pair.users else ""
    extension = rulings.regions.telling(best.numbers)
    region = rulings.regions.region_of(extension)
    decided = rulings.decide_known(caller, pair.outcall, region, policy)
    if decided.decision not in best.decisions:  # only callers whose UUID belongs to no user are decided so
        decided = rulings.decide_known(STRANGER, pair.outcall, region, policy)
    stages = rulings.stages(rulings.rights.get(caller, NOBODY), pair.outcall)
    others = ((stage, _better(rulings, ids, region, must)) for stage, ids in stages)
    stage, outranked = next((each for each in others if each[1]), (None, ()))
    elsewhere = () if outranked else _elsewhere(rulings, region, must)
    return Counterexample(caller, pair.outcall, extension, decided, outranked, stage, elsewhere)


def _better(rulings: Rulings, ids: Ids, region: int, must: Collection[Decision]) -> Ids:
    """The permissions of a stage that match and give a right decision."""
    return tuple(id_ for id_ in ids if rulings.set_of(id_) & region and _says(rulings.permissions[id_]) in must)


def _elsewhere(rulings: Rulings, region: int, must: Collection[Decision]) -> Ids:
    """The permissions of the tenant that match and give a right decision, but do not apply to the call."""
    return tuple(
        permission.id
        for permission in rulings.tenant.call_permissions
        if _says(permission) in must and rulings.regions.any_of(permission.extensions) & region
    )


def _says(permission: CallPermission) -> Decision:
    """The decision of a permission that decides alone."""
    if permission.mode is Mode.ALLOW:
        return Decision.ALLOW
    return Decision.DENY if permission.password is None else Decision.CHALLENGE
