"""The analysis agrees with brute force: every extension of a small universe, decided one by one by the oracle."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

import oracle
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import GROUPS, OUTCALLS, TENANT, USERS

from pdp.rules.analysis.diff import Difference
from pdp.rules.analysis.effects import Effects
from pdp.rules.analysis.expectations import Truth, chosen_users, prove
from pdp.rules.analysis.reachable import Share, shares
from pdp.rules.analysis.regions import Regions
from pdp.rules.analysis.rulings import Rulings
from pdp.rules.model import (
    CallPermission,
    Chosen,
    Decision,
    Expectation,
    Group,
    Mode,
    Outcall,
    Tenant,
    User,
    Who,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

UNIVERSE = ["".join(word) for length in range(1, 5) for word in product("01*", repeat=length)]
UNIVERSE += ["".join(word) for word in product("01", repeat=5)] + ["a", "0a", "-", "1-", "+0", "/", "0/1"]
"""Patterns below name 0, 1 and * alone, so what they tell apart shows in few characters."""

_tokens = st.sampled_from(["0", "1", "0", "1", "*", "X", "Z", "[0*]", "[*-1]", ".", "!", "_"])
patterns = st.lists(_tokens, min_size=1, max_size=4).map("".join).filter(lambda text: text.strip("_"))
ways: list[str | None] = [*OUTCALLS, None]


@st.composite
def permissions(draw: st.DrawFn, number: int) -> CallPermission:
    """A permission that is likely to meet others."""
    return CallPermission(
        id=number,
        mode=draw(st.sampled_from(Mode)),
        password=draw(st.sampled_from([None, None, "4242", "1"])),
        enabled=draw(st.sampled_from([True, True, True, False])),
        extensions=tuple(draw(st.lists(patterns, max_size=2))),
        users=tuple(draw(st.lists(st.sampled_from(USERS[:2]), max_size=1))),
        groups=tuple(draw(st.lists(st.sampled_from(GROUPS[:2]), max_size=1))),
        outcalls=tuple(draw(st.lists(st.sampled_from(OUTCALLS), max_size=1))),
    )


@st.composite
def expectations(draw: st.DrawFn, number: int) -> Expectation:
    """An expectation about few callers."""
    who = Who(
        draw(st.sampled_from(Chosen)),
        tuple(draw(st.lists(st.sampled_from(USERS[:2]), max_size=1))),
        tuple(draw(st.lists(st.sampled_from(GROUPS[:2]), max_size=1))),
    )
    must = draw(st.sets(st.sampled_from(Decision), min_size=1, max_size=2))
    through = draw(st.sampled_from([None, (), OUTCALLS[:1], OUTCALLS]))
    return Expectation(
        f"e{number}", who, tuple(draw(st.lists(patterns, min_size=1, max_size=2))), frozenset(must), through
    )


@st.composite
def tenants(draw: st.DrawFn) -> Tenant:
    """A tenant of three users, the last without any rule of its own."""
    return Tenant(
        TENANT,
        users=tuple(User(uuid) for uuid in USERS[:3]),
        groups=tuple(
            Group(id_, enabled=draw(st.sampled_from([True, True, False])), users=USERS[: draw(st.integers(0, 3))])
            for id_ in GROUPS[:2]
        ),
        outcalls=tuple(Outcall(id_) for id_ in OUTCALLS),
        call_permissions=tuple(draw(permissions(number)) for number in range(1, draw(st.integers(1, 6)) + 1)),
        expectations=tuple(draw(expectations(number)) for number in range(draw(st.integers(0, 2)))),
    )


def regions_of(*given_: Tenant, more: Iterable[str] = ()) -> Regions:
    """The regions of all that tenants say."""
    rules = [text for tenant in given_ for each in tenant.call_permissions for text in each.extensions]
    return Regions([*rules, *(text for tenant in given_ for each in tenant.expectations for text in each.dial), *more])


@given(tenants())
@settings(max_examples=150, deadline=None)
def test_a_call_is_decided_as_its_region_is(tenant: Tenant) -> None:
    """By the same permissions too."""
    rulings = Rulings(tenant, regions_of(tenant))
    for extension in UNIVERSE:
        region = rulings.regions.region_of(extension)
        for caller in (*USERS[:3], ""):
            for outcall in ways:
                found = rulings.decide_known(caller, outcall, region)
                wanted = oracle.decide(tenant, caller, extension, outcall or "")
                assert (found.decision, found.stage) == (wanted.decision, wanted.stage), (caller, extension, outcall)
                assert wanted.permission is None or wanted.permission.id in found.permissions


@given(tenants())
@settings(max_examples=150, deadline=None)
def test_what_breaks_an_expectation_is_what_is_decided_otherwise(tenant: Tenant) -> None:
    """Each call of the universe is among the violations exactly where the oracle decides it so."""
    rulings = Rulings(tenant, regions_of(tenant))
    for expectation in tenant.expectations:
        proof = prove(rulings, expectation)
        speaks_of = set(chosen_users(expectation.who, tenant))
        callers = [""] if expectation.who.chosen is Chosen.NOBODY_KNOWN else sorted(speaks_of)
        broken = {
            (user, pair.outcall): row for row in proof.violations for pair in row.pairs for user in pair.users or ("",)
        }
        outs: list[str | None] = ways if expectation.through is None else list(expectation.through) or [None]
        assert {user for user, _ in broken} <= set(callers)
        assert {outcall for _, outcall in broken} <= set(outs)
        assert (proof.truth is Truth.BROKEN) is bool(broken)
        for caller, outcall, extension in product(callers, outs, UNIVERSE):
            decided = oracle.decide(tenant, caller, extension, outcall or "").decision
            asked = any(oracle.regex(text).fullmatch(extension) for text in expectation.dial)
            row = broken.get((caller, outcall))
            is_broken = row is not None and bool(row.numbers & rulings.regions.region_of(extension))
            assert is_broken is (asked and decided not in expectation.must), (caller, outcall, extension)
        found = proof.counterexample
        assert (found is None) is (proof.truth is Truth.HOLDS)
        if found is not None:
            decided = oracle.decide(tenant, found.caller, found.extension, found.outcall or "").decision
            assert decided is found.decided.decision
            assert decided not in expectation.must


@given(tenants(), st.data())
@settings(max_examples=150, deadline=None)
def test_a_difference_is_every_call_that_is_decided_otherwise(tenant: Tenant, data: st.DataObject) -> None:
    """Also where users and outcalls come or go."""
    other = data.draw(tenants())
    gone = data.draw(st.sampled_from([None, *USERS[:3]]))
    if gone:
        other = _without(other, gone)
    regions = regions_of(tenant, other)
    difference = Difference(Rulings(tenant, regions), Rulings(other, regions))
    changed = {
        (user, pair.outcall): {(change.old, change.new): change.numbers for change in row.changes}
        for row in difference.calls
        for pair in row.pairs
        for user in pair.users or ("",)
    }
    for caller, outcall, extension in product((*USERS[:3], ""), ways, UNIVERSE):
        both = [oracle.decide(each, caller, extension, outcall or "").decision for each in (tenant, other)]
        region = regions.region_of(extension)
        found = [pair for pair, numbers in changed.get((caller, outcall), {}).items() if numbers & region]
        assert found == ([tuple(both)] if both[0] is not both[1] else []), (caller, outcall, extension)


@given(tenants())
@settings(max_examples=150, deadline=None)
def test_what_never_decides_decides_no_call_and_all_else_decides_one(tenant: Tenant) -> None:
    """A permission can go alone exactly where no decision changes."""
    rulings = Rulings(tenant, regions_of(tenant))
    effects = Effects(rulings)
    deciding: set[int] = set()
    for extension, caller, outcall in product(UNIVERSE, (*USERS[:3], ""), ways):
        deciding.update(rulings.decide_known(caller, outcall, rulings.regions.region_of(extension)).permissions)
    idle = {each.permission for each in effects.idle_permissions()}
    assert idle.isdisjoint(deciding)
    for id_ in {each.id for each in tenant.call_permissions} - idle - deciding:  # with a longer extension then
        assert effects.decided[id_]
        assert len(rulings.regions.example(effects.decided[id_])) > 4
    for permission in tenant.call_permissions:
        less = replace(tenant, call_permissions=tuple(each for each in tenant.call_permissions if each != permission))
        changed = Difference(rulings, Rulings(less, rulings.regions)).calls
        takes_part = {id_ for rights in rulings.rights.values() for ids in rights for id_ in ids}
        takes_part.update(*rulings.outcalls.values())
        if permission.id in takes_part:
            assert (permission.id in effects.removable()) is not bool(changed)
        else:
            assert not changed


@given(tenants(), patterns)
@settings(max_examples=100, deadline=None)
def test_the_shares_of_a_pattern_are_those_of_its_extensions(tenant: Tenant, pattern: str) -> None:
    """All, some or none of them get a decision."""
    rulings = Rulings(tenant, regions_of(tenant, more=[pattern]))
    numbers = rulings.regions.numbers(pattern)
    for outcall in ways:
        for row in shares(rulings, numbers, outcall):
            for caller in row.users or ("",):
                matching = [each for each in UNIVERSE if oracle.regex(pattern).fullmatch(each)]
                got = {oracle.decide(tenant, caller, each, outcall or "").decision for each in matching}
                for decision in Decision:
                    if row.share(decision) is Share.ALL:
                        assert got <= {decision}
                    assert (decision in got) <= (row.share(decision) is not Share.NONE)


@given(st.lists(patterns, min_size=1, max_size=5))
@settings(deadline=None)
def test_regions_are_what_patterns_tell_apart(texts: list[str]) -> None:
    """An extension is in a pattern's set exactly where the pattern matches; counts and examples are exact."""
    regions = Regions(texts)
    every = ["".join(word) for length in range(1, 4) for word in product("0123456789*#+", repeat=length)]
    for text in texts:
        numbers = regions.numbers(text)
        matching = [each for each in every if oracle.regex(text).fullmatch(each)]
        assert matching == [each for each in every if regions.region_of(each) & numbers]
        sample = regions.sample(numbers)
        assert sample.counts[:3] == tuple(sum(len(each) == length for each in matching) for length in (1, 2, 3))
        if matching:
            shortest = [each for each in matching if len(each) == len(matching[0])]
            assert (list(sample.shortest), sample.shortest_count) == (shortest[:3], len(shortest))
        assert oracle.regex(text).fullmatch(regions.example(numbers))


def _without(tenant: Tenant, gone: str) -> Tenant:
    """The tenant without a user and without all references to it."""

    def others(users: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(user for user in users if user != gone)

    return replace(
        tenant,
        users=tuple(user for user in tenant.users if user.uuid != gone),
        groups=tuple(replace(group, users=others(group.users)) for group in tenant.groups),
        call_permissions=tuple(replace(each, users=others(each.users)) for each in tenant.call_permissions),
    )
