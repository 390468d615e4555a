"""The analysis of tenants with a dialling plan agrees with the decisions on what is dialled, by compiled rules."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import oracle
import pytest
from dialling_cases import Numbers, TableReader
from dialling_reference import Country
from hypothesis import given, settings
from hypothesis import strategies as st
from reaches import saying

from loader.numbering import numbering_table
from pdp.rules.analysis.comparison import Comparison
from pdp.rules.analysis.dialled.forms import Forms
from pdp.rules.analysis.dialled.patterns import Patterns
from pdp.rules.analysis.effects import Effects
from pdp.rules.analysis.expectations import Proof, Truth, prove
from pdp.rules.analysis.proving import Bounds, Prover, asked_of
from pdp.rules.analysis.reach import reach
from pdp.rules.analysis.regions import Regions
from pdp.rules.analysis.rulings import Policy, Rulings
from pdp.rules.compiler.compiler import Compiler
from pdp.rules.dialling import Dialling as OpenedDialling
from pdp.rules.dialling import DiallingPlan, Emergency, Undiallable
from pdp.rules.model import (
    CallPermission,
    Chosen,
    Decision,
    Dialling,
    Expectation,
    Mode,
    Outcall,
    Revision,
    Tenant,
    User,
    Who,
)
from pdp.rules.patterns.parser import parse
from pdp.rules.snapshot.snapshot import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ALICE = "2c34c282-433e-4bb8-8d56-fec14ff7e1e9"
DIALS = [("", "0"), ("FR", ""), ("US", "9"), ("ES", "9")]
PATTERNS = [
    *(
        "_00.",
        "_000.",
        "_+.",
        "_0[1-9].",
        "_00[1-9].",
        "_0899.",
        "_00899.",
        "_0033899.",
        "_+1900.",
        "_91900.",
        "_9XXXXXX!",
    ),
    *("2XXX", "_XXXXXXX", "_*.", "_.#", "_!5", "_!", "_9011.", "_011.", "_810.", "_8.", "_90[0-5].", "118", "_*31#!"),
]
MUST = [{Decision.DENY}, {Decision.ALLOW}, {Decision.DENY, Decision.CHALLENGE}, {Decision.CHALLENGE, Decision.ALLOW}]


@st.composite
def tenants(draw: st.DrawFn, dials: tuple[str, str]) -> Tenant:
    """A tenant of one user and one outcall with a few permissions and expectations."""
    texts = st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=2).map(tuple)
    permissions = tuple(
        CallPermission(
            number,
            mode=draw(st.sampled_from(Mode)),
            password=draw(st.sampled_from([None, None, "12"])),
            extensions=draw(texts),
            users=(ALICE,) if (on_user := draw(st.booleans())) else (),
            outcalls=() if on_user else ("1",),
        )
        for number in range(1, draw(st.integers(1, 4)) + 1)
    )
    expectations = tuple(
        Expectation(str(at), Who(Chosen.EVERYONE), draw(texts), frozenset(draw(st.sampled_from(MUST))))
        for at in range(2)
    )
    return Tenant(
        "54eb71f8-1f4b-4ae4-8730-638062fbe521",
        users=(User(ALICE),),
        outcalls=(Outcall("1"),),
        call_permissions=permissions,
        expectations=expectations,
        emergency=("112",),
        dialling=Dialling(*dials, numbering_table(*dials)),
    )


def deciding(tenant: Tenant) -> Callable[[str, str], Decision]:
    """The decisions of compiled rules on what a user of theirs dials."""
    snapshot = decode(Compiler().compile(tenant, Revision(1, "0" * 64), compiled_at=0.0))
    assert tenant.dialling is not None
    emergency = Emergency(tenant.emergency, tenant.dialling.outside_line, opened(tenant).hides_caller)

    def decide(extension: str, outcall: str) -> Decision:
        return Decision.ALLOW if extension in emergency else snapshot.decide(ALICE, extension, outcall).decision

    return decide


def opened(tenant: Tenant) -> OpenedDialling:
    """The dialling plan of a tenant."""
    assert tenant.dialling is not None
    return OpenedDialling(memoryview(DiallingPlan(tenant.dialling.table, None).section))


def dialled(dials: tuple[str, str], seed: int, count: int) -> Iterator[str]:
    """Texts that people may dial, and some that begin so."""
    numbers, country = Numbers(seed), Country(*dials)
    for _ in range(count):
        text = numbers.dialled(country) if country.country else numbers.decorated(dials[1] + numbers.digits())
        chance = numbers.random.random()
        if chance < 0.2:
            text = text[: numbers.random.randint(1, len(text))]
        elif chance < 0.3:
            text = numbers.random.choice(country.hidden) + text
        yield text


def matched(texts: tuple[str, ...], dials: tuple[str, str], extension: str) -> bool:
    """Whether some pattern matches a form of a number that an extension may be."""
    return any(
        oracle.regex(text).fullmatch(form) and text.replace("_", "").startswith(form[:spelled])
        for reading in TableReader(*dials).readings(extension)
        for form, spelled in reading
        for text in texts
    )


@pytest.mark.parametrize("dials", DIALS, ids="".join)
@settings(max_examples=2, deadline=None)
@given(data=st.data())
def test_what_breaks_an_expectation_is_what_is_dialled_and_decided_otherwise(
    dials: tuple[str, str], data: st.DataObject
) -> None:
    """Also where a text may be two numbers; and the counterexample is such a call."""
    tenant = data.draw(tenants(dials))
    decide, proofs = deciding(tenant), Prover().prove(tenant)
    rulings = Rulings(tenant, Regions.of_versions([asked_of(tenant, ())])[0])
    effects = Effects(rulings)
    for extension in dialled(dials, data.draw(st.integers(0, 10**6)), 250):
        region = rulings.regions.region_of(extension)
        for outcall in ("1", ""):
            try:
                decision = decide(extension, outcall)
            except Undiallable:
                assert not region
                continue
            decided = rulings.decide_known(ALICE, outcall or None, region)
            assert decided.decision is decision, extension
            assert all(effects.decided[id_] for id_ in decided.permissions), extension
            for proof in proofs:
                wrong = decision not in proof.expectation.must and matched(proof.expectation.dial, dials, extension)
                assert wrong is _is_broken(proof, outcall or None, extension), (extension, outcall, proof.expectation)
    for proof in proofs:
        found = proof.counterexample
        assert (found is None) is (proof.truth is Truth.HOLDS)
        if found is not None:
            assert decide(found.extension, found.outcall or "") is found.decided.decision
            assert found.decided.decision not in proof.expectation.must
            assert matched(proof.expectation.dial, dials, found.extension)


@pytest.mark.parametrize("country", ["BR", "SG"])
def test_a_country_with_many_ways_to_dial_is_proven(country: str) -> None:
    """Carriers' codes in front of own numbers, and international prefixes that others begin with, take no limit."""
    own = Country(country, "").np
    tenant = Tenant(
        "54eb71f8-1f4b-4ae4-8730-638062fbe521",
        users=(User(ALICE),),
        outcalls=(Outcall("1"),),
        call_permissions=(
            CallPermission(1, extensions=("_00.", "_+."), outcalls=("1",)),
            CallPermission(2, extensions=(f"_{own}900.", f"_{own}[78]."), outcalls=("1",)),
        ),
        expectations=tuple(
            Expectation(dial, Who(Chosen.EVERYONE), (dial,), frozenset({Decision.DENY}), through=("1",))
            for dial in ("_00.", f"_{own}900.", f"_{own}[6-8].")
        ),
        dialling=Dialling(country, "", numbering_table(country, "")),
    )
    regions, decide = Regions.of_versions([asked_of(tenant, ())])[0], deciding(tenant)
    rulings = Rulings(tenant, regions)
    proofs = [prove(rulings, expectation, Policy()) for expectation in tenant.expectations]
    assert [proof.truth for proof in proofs] == [Truth.HOLDS, Truth.HOLDS, Truth.BROKEN]
    for extension in dialled((country, ""), 7, 400):
        if region := regions.region_of(extension):
            assert rulings.decide_known(ALICE, "1", region).decision is decide(extension, "1"), extension


def test_forms_that_depend_on_whether_the_number_is_valid_are_told_apart() -> None:
    """Behind 002, of which 00 is one more prefix in Taiwan: 00 29… is valid, and so is 672… alone."""
    tokens = parse("_002.").tokens
    plan = DiallingPlan(numbering_table("TW", ""), [("_002.", tokens)])
    forms = Forms(OpenedDialling(memoryview(plan.section)), Patterns([tokens], [()]))
    states = set()
    for number in ("672106609", "9020000"):
        state = forms.foreign(sought=False)
        for digit in number:
            state = forms.unjudged(forms.step(state, digit))
        states.add(state)
    assert len(states) == 2


def _is_broken(proof: Proof, outcall: str | None, extension: str) -> bool:
    return any(
        row.numbers & row.regions.region_of(extension)
        for row in proof.violations
        if any(pair.outcall == outcall for pair in row.pairs)
    )


@pytest.mark.parametrize("dials", [("FR", ""), ("ES", "9")], ids="".join)
@settings(max_examples=2, deadline=None)
@given(data=st.data())
def test_a_comparison_is_every_call_that_is_decided_otherwise(dials: tuple[str, str], data: st.DataObject) -> None:
    """Of rules, and of the dialling plan too; each example is such a call."""
    old = data.draw(tenants(dials))
    new = data.draw(tenants(data.draw(st.sampled_from([dials, ("DE", "")]))))
    comparison = Comparison(old, new)
    both = deciding(old), deciding(new)
    for extension in dialled(dials, data.draw(st.integers(0, 10**6)), 150):
        for outcall in ("1", ""):
            try:
                decisions = tuple(decide(extension, outcall) for decide in both)
            except Undiallable:
                continue
            region = comparison.regions.region_of(extension)
            assert region
            rows = [
                (line.change.old, line.change.new)
                for line in comparison.lines
                if line.users and (outcall or None) in line.outcalls and line.change.numbers & region
            ]
            assert rows == ([decisions] if decisions[0] is not decisions[1] else []), (extension, outcall)
    for line in comparison.lines:
        if line.users:
            got = tuple(decide(line.example, line.outcalls[0] or "") for decide in both)
            assert got == (line.change.old, line.change.new), line


@pytest.mark.parametrize("dials", [("", "0"), ("FR", ""), ("ES", "9")], ids="".join)
@settings(max_examples=3, deadline=None)
@given(data=st.data())
def test_a_reach_says_of_each_number_how_it_is_decided(dials: tuple[str, str], data: st.DataObject) -> None:
    """By one pattern, unless there are too many; samples can be dialled."""
    tenant = data.draw(tenants(dials))
    decide, snapshot = deciding(tenant), decode(Compiler().compile(tenant, Revision(1, "0" * 64), compiled_at=0.0))
    outcall = data.draw(st.sampled_from(["1", ""]))
    emergency = Emergency(tenant.emergency, dials[1], opened(tenant).hides_caller).texts
    reaches = reach(snapshot, ALICE, outcall, emergency=emergency, max_patterns=1000)
    for extension in dialled(dials, data.draw(st.integers(0, 10**6)), 150):
        if any(key in extension[1:] for key in "*#+") or extension == "+" or not set(extension) <= set("0123456789*#+"):
            continue
        (one,) = saying(reaches, extension)
        assert one.decision in (None, decide(extension, outcall)), extension
    for each in reaches:
        for pattern in each.patterns:
            assert each.decision in (None, decide(pattern.sample, outcall)), pattern


def test_switching_dialling_on_shows_what_is_closed() -> None:
    """A deny of 00 does not speak of + before, and does then."""
    permission = CallPermission(1, extensions=("_00.",), users=(ALICE,))
    old = Tenant("54eb71f8-1f4b-4ae4-8730-638062fbe521", users=(User(ALICE),), call_permissions=(permission,))
    new = replace(old, dialling=Dialling("FR", "", numbering_table("FR", "")))
    comparison = Comparison(old, new)
    closed = next(line for line in comparison.lines if line.change.new is Decision.DENY)
    assert closed.change.numbers & comparison.regions.region_of("+442079460958")
    opened_ = next(line for line in comparison.lines if line.change.new is Decision.ALLOW)
    assert opened_.change.numbers & comparison.regions.region_of("0033123456789")


def test_texts_that_were_left_out_are_no_proof() -> None:
    """Of texts that may be two numbers, one behind two international prefixes that fit, where states are too many."""
    expectation = Expectation("all", Who(Chosen.EVERYONE), ("_0.",), frozenset({Decision.DENY}))
    tenant = Tenant(
        "54eb71f8-1f4b-4ae4-8730-638062fbe521",
        users=(User(ALICE),),
        call_permissions=(CallPermission(1, extensions=("_!",), users=(ALICE,)),),
        expectations=(expectation,),
        dialling=Dialling("AU", "0", numbering_table("AU", "0")),
    )
    (proof,) = Prover(bounds=Bounds(states=7_000)).prove(tenant)
    assert proof.truth is Truth.NOT_PROVEN
    assert "two numbers were left out" in proof.problem
