"""Whether rules do what they are for: each expectation proven for every caller, outcall and extension, or broken.

A proof is over sets: what an expectation speaks of, less what is decided as it asks, must be empty for every class of
callers and every outcall. Where it is not, the set is what breaks the expectation, and its best example is the
counterexample.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from pdp.rules.analysis.rulings import NOBODY, SILENT, STRANGER, Policy, Ruling
from pdp.rules.model import Chosen, Decision

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pdp.rules.analysis.rulings import Decided, Rulings
    from pdp.rules.model import Expectation, Tenant, Who


class Truth(StrEnum):
    """What came of a proof."""

    HOLDS = "holds"
    BROKEN = "broken"
    NOT_PROVEN = "not proven"
    """The patterns take too many states to tell apart; it may hold or not."""


class Pair(NamedTuple):
    """Callers with the same rights, and a way out.

    Attributes:
        users: UUIDs; empty: callers that are no user.
        outcall: None: through none.
    """

    users: tuple[str, ...]
    outcall: str | None


@dataclass(frozen=True, slots=True)
class Violation:
    """Calls that break an expectation.

    Attributes:
        numbers: the extensions, as a set.
        decisions: the wrong decisions that they get.
        pairs: the callers and ways out, for each of which it is all of these extensions.
    """

    numbers: int
    decisions: tuple[Decision, ...]
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class Counterexample:
    """One call that breaks an expectation.

    Attributes:
        caller: a user's UUID; empty: a caller that is no user.
        outcall: None: through none.
        extension: what is dialled.
        decided: how, and by what.
    """

    caller: str
    outcall: str | None
    extension: str
    decided: Decided


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of one expectation.

    Attributes:
        expectation: the expectation.
        truth: whether it holds.
        callers: how many callers it speaks of, all that are no user counted as one; 0: it holds because it speaks of
            none.
        violations: what breaks it.
        counterexample: the call with the best example of all.
        problem: why it is not proven.
    """

    expectation: Expectation
    truth: Truth
    callers: int
    violations: tuple[Violation, ...] = ()
    counterexample: Counterexample | None = None
    problem: str = ""


def chosen_users(who: Who, tenant: Tenant) -> list[str]:
    """The users that an expectation speaks of, in the order of the definitions."""
    if who.chosen is Chosen.NOBODY_KNOWN:
        return []
    if who.chosen is Chosen.EVERYONE:
        return [user.uuid for user in tenant.users]
    groups = set(who.groups)
    listed = set(who.users).union(*(group.users for group in tenant.groups if group.id in groups))
    wanted = who.chosen is Chosen.LISTED
    return [user.uuid for user in tenant.users if (user.uuid in listed) is wanted]


def ways_through(expectation: Expectation, rulings: Rulings) -> Sequence[str | None]:
    """The outcalls that an expectation speaks of; None for calls through none."""
    if expectation.through is None:
        return rulings.ways_out()
    return expectation.through or (None,)


def prove(rulings: Rulings, expectation: Expectation, policy: Policy | None = None) -> Proof:
    """Proves an expectation, or finds all that breaks it.

    Args:
        rulings: the tenant's, over regions that the expectation's patterns are part of.
        expectation: one of the tenant's.
        policy: how a server decides about callers that it does not know.
    """
    classes, callers = _callers(rulings, expectation, policy or Policy())
    outcalls = ways_through(expectation, rulings)
    numbers = rulings.regions.any_of(expectation.dial)
    after = [_wrong(rulings.of_outcall(outcall), numbers, expectation, last=True) for outcall in outcalls]
    memo: dict[tuple[Ruling, int], list[tuple[int, Ruling]]] = {}
    found: dict[tuple[int, tuple[Decision, ...]], list[Pair]] = {}
    for ruling, users in classes:
        key = _wrong(ruling, numbers, expectation, last=False), numbers & ~ruling.decided
        broken = memo.get(key)
        if broken is None:
            broken = memo[key] = _broken(*key, after)
        for at, wrong in broken:
            row = wrong.decided, tuple(decision for decision, part in zip(_ORDER, wrong, strict=True) if part)
            found.setdefault(row, []).append(Pair(users, outcalls[at]))
    violations = tuple(Violation(*row, tuple(pairs)) for row, pairs in found.items())
    truth = Truth.BROKEN if violations else Truth.HOLDS
    return Proof(expectation, truth, callers, violations, _counterexample(rulings, violations, policy or Policy()))


_ORDER = (Decision.ALLOW, Decision.DENY, Decision.CHALLENGE)


def _callers(
    rulings: Rulings, expectation: Expectation, policy: Policy
) -> tuple[Iterable[tuple[Ruling, tuple[str, ...]]], int]:
    """The classes that an expectation speaks of, and how many callers they are."""
    if expectation.who.chosen is Chosen.NOBODY_KNOWN:
        # One without a name, and one with a UUID that belongs to no user: a server may decide otherwise about those.
        rulings_of = dict.fromkeys([rulings.of_caller(NOBODY), rulings.of_stranger(policy)])
        return [(ruling, ()) for ruling in rulings_of], 1
    users = chosen_users(expectation.who, rulings.tenant)
    return [(ruling, tuple(members)) for ruling, members in rulings.classes(users).items()], len(users)


def _wrong(ruling: Ruling, numbers: int, expectation: Expectation, *, last: bool) -> Ruling:
    """What of these extensions is decided otherwise than it must be; of the last stage, what it leaves open too."""
    must = expectation.must
    allow = ruling.allow | (~ruling.decided if last else 0)
    return Ruling(
        0 if Decision.ALLOW in must else allow & numbers,
        0 if Decision.DENY in must else ruling.deny & numbers,
        0 if Decision.CHALLENGE in must else ruling.challenge & numbers,
    )


def _broken(wrong: Ruling, left: int, after: list[Ruling]) -> list[tuple[int, Ruling]]:
    """For each way out that breaks the expectation, what does."""
    found = []
    for at, later in enumerate(after):
        allow, deny, challenge = later
        together = Ruling(wrong.allow | allow & left, wrong.deny | deny & left, wrong.challenge | challenge & left)
        if together != SILENT:
            found.append((at, together))
    return found


def _counterexample(rulings: Rulings, violations: Sequence[Violation], policy: Policy) -> Counterexample | None:
    if not violations:
        return None
    best = min(violations, key=lambda violation: violation.numbers & -violation.numbers)
    region = best.numbers & -best.numbers
    pair = best.pairs[0]
    caller = pair.users[0] if pair.users else ""
    decided = rulings.decide(rulings.rights.get(caller, NOBODY), pair.outcall, region)
    if decided.decision not in best.decisions:  # only callers whose UUID belongs to no user are decided so
        decided = rulings.decide_known(STRANGER, pair.outcall, region, policy)
    return Counterexample(caller, pair.outcall, rulings.regions.example(region), decided)
