"""The proofs of a tenant's expectations, within bounds of work.

All patterns of the tenant are divided at once. Where the division takes too many states, each class of callers is
divided with its own patterns alone, one outcall after the other; where even that is too much, an expectation is not
proven: neither broken nor known to hold. A tenant that enforces such an expectation is not published.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pdp.rules.analysis.counterexample import Pair
from pdp.rules.analysis.expectations import Proof, Truth, chosen_users, prove, ways_through
from pdp.rules.analysis.regions import MAX_STATES, Asked, Regions
from pdp.rules.analysis.rulings import NOBODY, Policy, Rights, Rulings, active_permissions, outcalls_of, rights_of
from pdp.rules.analysis.walk import TooManyStatesError
from pdp.rules.dialling import Emergency
from pdp.rules.dialling.numbering import NumberingTable
from pdp.rules.model import Chosen, Group, Outcall, User, Who

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pdp.rules.analysis.counterexample import Counterexample, Violation
    from pdp.rules.model import Expectation, Tenant

MAX_WALKS = 2_000
"""Pairs of callers and outcalls that are looked at one by one for an expectation."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits of a proof.

    Attributes:
        states: the most states of one walk.
        walks: the most walks for one expectation, where the whole takes too many states.
    """

    states: int = MAX_STATES
    walks: int = MAX_WALKS


def emergency_texts(tenant: Tenant, numbers: Iterable[str]) -> tuple[str, ...]:
    """The extensions that count as an emergency number, those of the tenant and these of the server.

    Such an extension is the number, also behind the outside line, behind a prefix that hides the caller's number, and
    with one ``#`` at the end.
    """
    listed, dialling = dict.fromkeys((*tenant.emergency, *numbers)), tenant.dialling
    if dialling is None:
        return tuple(sorted(Emergency(listed).texts))
    hides_caller = NumberingTable(memoryview(dialling.table)).hides_caller
    return tuple(sorted(Emergency(listed, dialling.outside_line, hides_caller).texts))


def rule_texts(tenant: Tenant) -> list[str]:
    """The patterns of a tenant's permissions, and of its expectations."""
    rules = [text for permission in tenant.call_permissions for text in permission.extensions]
    return [*rules, *(text for expectation in tenant.expectations for text in expectation.dial)]


def asked_of(tenant: Tenant, emergency: Iterable[str]) -> Asked:
    """The patterns of a tenant; with emergency numbers of the server."""
    return Asked(tuple(rule_texts(tenant)), emergency_texts(tenant, emergency), tenant.dialling)


class Prover:
    """Proves the expectations of the successive states of one tenant.

    Args:
        emergency: emergency numbers of the server.
        policy: the server's policy on unknown callers.
        bounds: the limits of a proof.
    """

    def __init__(
        self, *, emergency: Iterable[str] = (), policy: Policy | None = None, bounds: Bounds | None = None
    ) -> None:
        self._emergency = tuple(emergency)
        self._policy = policy or Policy()
        self._bounds = bounds or Bounds()
        self._asked = Asked(())
        self._regions: Regions | None = None

    def prove(self, tenant: Tenant) -> tuple[Proof, ...]:
        """The proof of each expectation, in the order of the definitions."""
        if not tenant.expectations:
            return ()
        try:
            regions = self._divided(asked_of(tenant, self._emergency))
        except TooManyStatesError:
            return tuple(self._in_parts(tenant, expectation) for expectation in tenant.expectations)
        rulings = Rulings(tenant, regions)
        return tuple(prove(rulings, expectation, self._policy) for expectation in tenant.expectations)

    def _divided(self, asked: Asked) -> Regions:
        """The regions of some patterns; those of the last call if all patterns are among those."""
        is_same = asked[1:] == self._asked[1:]
        if self._regions is None or not is_same or not self._regions.covers(asked.texts):
            self._regions = None  # the walk needs the room
            self._regions = Regions.of_versions([asked], max_states=self._bounds.states)[0]
            self._asked = asked
        return self._regions

    def _in_parts(self, tenant: Tenant, expectation: Expectation) -> Proof:
        """One expectation, for each class of callers and each outcall, with the patterns of both alone."""
        parts = _Parts(tenant, expectation)
        whole = Proof(expectation, Truth.HOLDS, parts.callers)
        if parts.count > self._bounds.walks:
            problem = f"the patterns take too many states together, and {parts.count:,} classes of calls are too many"
            return replace(whole, truth=Truth.NOT_PROVEN, problem=problem)
        problem = ""
        violations: list[Violation] = []
        counterexample: Counterexample | None = None
        for part, users in parts:
            try:
                regions = Regions.of_versions([asked_of(part, self._emergency)], max_states=self._bounds.states)[0]
            except TooManyStatesError as error:
                problem = str(error)
                break
            proof = prove(Rulings(part, regions), part.expectations[0], self._policy)
            problem = problem or proof.problem
            for violation in proof.violations:
                pairs = tuple(Pair(users, pair.outcall) for pair in violation.pairs)
                violations.append(replace(violation, pairs=pairs))
            counterexample = counterexample or proof.counterexample
        truth = Truth.BROKEN if violations else Truth.NOT_PROVEN if problem else Truth.HOLDS
        found = replace(whole, truth=truth, problem=problem)
        return replace(found, violations=tuple(violations), counterexample=counterexample)


class _Parts:
    """A tenant in parts, each of which holds the rules for the calls of one class of callers through one outcall.

    Args:
        tenant: the tenant.
        expectation: selects the callers and outcalls that there are parts for.

    Attributes:
        callers: the number of callers in the expectation.
        count: the number of parts.
    """

    def __init__(self, tenant: Tenant, expectation: Expectation) -> None:
        self._tenant = tenant
        self._expectation = expectation
        self._permissions = active_permissions(tenant)
        self._ways = ways_through(expectation, tenant)
        self._outcalls = outcalls_of(tenant, self._permissions)
        self._classes: dict[Rights, list[str]] = {}
        users = chosen_users(expectation.who, tenant)
        rights = rights_of(tenant, self._permissions) if users else {}
        for user in users:
            self._classes.setdefault(rights[user], []).append(user)
        self.callers = len(users)
        if expectation.who.chosen is Chosen.NOBODY_KNOWN:
            self._classes[NOBODY] = []
            self.callers = 1
        self.count = len(self._classes) * len(self._ways)

    def __iter__(self) -> Iterator[tuple[Tenant, tuple[str, ...]]]:
        """Each part, with the users that the part stands for."""
        for rights, users in self._classes.items():
            for outcall in self._ways:
                yield self._part(rights, users[:1], outcall), tuple(users)

    def _part(self, rights: Rights, caller: list[str], outcall: str | None) -> Tenant:
        """One caller, in one group, with one outcall."""
        user, group, out = tuple(caller), ("",), (outcall,) if outcall is not None else ()
        of_outcall = self._outcalls.get(outcall, ()) if outcall is not None else ()
        permissions = tuple(
            replace(
                self._permissions[id_],
                users=user if id_ in rights.own else (),
                groups=group if id_ in rights.groups else (),
                outcalls=out if id_ in of_outcall else (),
            )
            for id_ in sorted({*rights.own, *rights.groups, *of_outcall})
        )
        who = Who(Chosen.LISTED, user) if user else self._expectation.who
        return replace(
            self._tenant,
            users=tuple(map(User, user)),
            groups=(Group("", users=user),),
            outcalls=tuple(map(Outcall, out)),
            call_permissions=permissions,
            expectations=(replace(self._expectation, who=who, through=out),),
        )
