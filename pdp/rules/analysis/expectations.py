"""Checking rules against their purpose: each expectation proven for every caller, outcall and extension, or broken.

A proof is over sets: the extensions of an expectation, less those that are decided as expected, must be none for every
class of callers and every outcall. Otherwise the remaining set breaks the expectation, and its best example is the
counterexample.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pdp.rules.analysis.counterexample import Counterexample, Pair, Violation, counterexample
from pdp.rules.analysis.rulings import NOBODY, SILENT, Policy, Ruling
from pdp.rules.effort import CHECKPOINT
from pdp.rules.model import Chosen, Decision

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from pdp.rules.analysis.regions import Regions
    from pdp.rules.analysis.rulings import Rulings
    from pdp.rules.model import Expectation, Tenant, Who


class Truth(StrEnum):
    """The result of a proof."""

    HOLDS = "holds"
    BROKEN = "broken"
    NOT_PROVEN = "not proven"
    """The expectation was not looked at for all numbers, and may hold or not."""


LEFT_OUT = (
    "it holds for all numbers, but texts that may be two numbers were left out where several international prefixes fit"
)


@dataclass(frozen=True, slots=True)
class Proof:
    """The result for one expectation.

    Attributes:
        expectation: the expectation.
        truth: whether the expectation holds.
        callers: the number of callers in the expectation, all that are no user counted as one; 0: the expectation holds
            because there is no such caller.
        violations: the calls that break the expectation.
        counterexample: the call with the best example of all.
        problem: the reason that the expectation is not proven.
    """

    expectation: Expectation
    truth: Truth
    callers: int
    violations: tuple[Violation, ...] = ()
    counterexample: Counterexample | None = None
    problem: str = ""

    @property
    def fails(self) -> bool:
        """Whether the result keeps the tenant from being published."""
        return self.expectation.enforce and self.truth is not Truth.HOLDS


def chosen_users(who: Who, tenant: Tenant) -> list[str]:
    """The users in an expectation, in the order of the definitions."""
    if who.chosen is Chosen.NOBODY_KNOWN:
        return []
    if who.chosen is Chosen.EVERYONE:
        return [user.uuid for user in tenant.users]
    groups = set(who.groups)
    listed = set(who.users).union(*(group.users for group in tenant.groups if group.id in groups))
    wanted = who.chosen is Chosen.LISTED
    return [user.uuid for user in tenant.users if (user.uuid in listed) is wanted]


def ways_through(expectation: Expectation, tenant: Tenant) -> Sequence[str | None]:
    """The outcalls in an expectation; None for calls without an outcall."""
    if expectation.through is None:
        return [*(outcall.id for outcall in tenant.outcalls), None]
    return expectation.through or (None,)


def prove(rulings: Rulings, expectation: Expectation, policy: Policy | None = None) -> Proof:
    """Proves an expectation, or finds all calls that break the expectation.

    Args:
        rulings: the tenant's, over regions that the expectation's patterns are part of.
        expectation: one of the tenant's.
        policy: the server's policy on unknown callers.
    """
    classes, callers = _callers(rulings, expectation, policy or Policy())
    outcalls = ways_through(expectation, rulings.tenant)
    regions = rulings.regions
    # A call to two numbers is one to a number of the expectation if either is.
    numbers = regions.readings(regions.extensions(regions.any_of(expectation.dial)))
    wrong_in = _WrongParts(regions, numbers, expectation.must)
    after = [wrong_in.of(rulings.of_outcall(outcall), last=True) for outcall in outcalls]
    alike: dict[tuple[Ruling, int], list[str]] = {}
    checkpoint = CHECKPOINT.get()
    for ruling, members in classes:
        checkpoint()
        key = wrong_in.of(ruling, last=False), numbers & ~ruling.decided
        alike.setdefault(key, []).extend(members)
    found: dict[tuple[int, tuple[Decision, ...]], list[Pair]] = {}
    for (wrong, left), users in alike.items():
        checkpoint()
        callers_alike = tuple(users)
        for at, broken in wrong_in.together(wrong, left, after):
            row = broken.decided, tuple(decision for decision, part in zip(_ORDER, broken, strict=True) if part)
            found.setdefault(row, []).append(Pair(callers_alike, outcalls[at]))
    violations = tuple(Violation(*row, tuple(pairs), regions) for row, pairs in found.items())
    truth = Truth.BROKEN if violations else Truth.NOT_PROVEN if regions.leaves_out else Truth.HOLDS
    problem = LEFT_OUT if truth is Truth.NOT_PROVEN else ""
    example = None
    if violations:
        example = counterexample(rulings, violations, policy or Policy(), expectation.must)
    return Proof(expectation, truth, callers, violations, example, problem)


_ORDER = (Decision.ALLOW, Decision.DENY, Decision.CHALLENGE)


def _callers(
    rulings: Rulings, expectation: Expectation, policy: Policy
) -> tuple[Iterable[tuple[Ruling, tuple[str, ...]]], int]:
    """The classes of callers in an expectation, and the number of callers."""
    if expectation.who.chosen is Chosen.NOBODY_KNOWN:
        # One without a name, and one with a UUID that belongs to no user: a server may decide otherwise about those.
        rulings_of = dict.fromkeys([rulings.of_caller(NOBODY), rulings.of_stranger(policy)])
        return [(ruling, ()) for ruling in rulings_of], 1
    if expectation.who.chosen is Chosen.EVERYONE:
        users, classes = rulings.tenant.users, rulings.classes()
        return [(ruling, tuple(members)) for ruling, members in classes.items()], len(users)
    chosen = chosen_users(expectation.who, rulings.tenant)
    return [(ruling, tuple(members)) for ruling, members in rulings.classes(chosen).items()], len(chosen)


class _WrongParts:
    """The extensions of an expectation that are decided wrongly.

    Args:
        regions: the regions.
        numbers: the extensions of the expectation, with all their readings.
        must: the right decisions.
    """

    def __init__(self, regions: Regions, numbers: int, must: Collection[Decision]) -> None:
        self._regions = regions
        self._must = must
        # Where an extension has two readings, a right decision on one may prevail over a wrong one on the other.
        both = regions.of_two_readings & numbers
        self._within = {decision: both if decision in must else numbers for decision in Decision}

    def of(self, ruling: Ruling, *, last: bool) -> Ruling:
        """The part of a ruling that is or may be wrong; for the last stage, the part left open too."""
        within = self._within
        allow = ruling.allow | (~ruling.decided if last else 0)
        return Ruling(
            allow & within[Decision.ALLOW],
            ruling.deny & within[Decision.DENY],
            ruling.challenge & within[Decision.CHALLENGE],
        )

    def together(self, wrong: Ruling, left: int, after: list[Ruling]) -> list[tuple[int, Ruling]]:
        """The wrong extensions for each outcall that breaks the expectation."""
        found = []
        for at, later in enumerate(after):
            allow, deny, challenge = later
            both = Ruling(wrong.allow | allow & left, wrong.deny | deny & left, wrong.challenge | challenge & left)
            if both != SILENT and (broken := self._standing(both)) != SILENT:
                found.append((at, broken))
        return found

    def _standing(self, parts: Ruling) -> Ruling:
        """The wrong extensions among readings: of two readings of an extension the stricter decision stands."""
        if not self._regions.has_two_readings:
            return parts
        allow, deny, challenge = map(self._regions.extensions, parts)
        standing = Ruling(allow & ~(deny | challenge), deny, challenge & ~deny)
        return Ruling(*(0 if each in self._must else part for each, part in zip(_ORDER, standing, strict=True)))
