"""Proofs within bounds: the parts say what the whole says, and what is too much is not proven."""

from __future__ import annotations

from dataclasses import replace

import pytest
from analysis_vectors import NUMBERS, Vector
from strategies import TENANT, USERS

from pdp.rules.analysis.expectations import Proof, Truth
from pdp.rules.analysis.proving import Bounds, Prover
from pdp.rules.model import CallPermission, Chosen, Decision, Expectation, Mode, Tenant, User, Who

WILD = tuple(f"_!{number}.{number // 2}!" for number in range(100, 140))
"""Each has three places where anything may stand, so together they take very many states."""


def violations(proof: Proof) -> dict[object, object]:
    """What breaks an expectation, by user and outcall."""
    return {
        (user, pair.outcall): (set(each.decisions), each.regions.sample(each.numbers))
        for each in proof.violations
        for pair in each.pairs
        for user in pair.users or ("",)
    }


@pytest.mark.parametrize("number", NUMBERS)
def test_looking_at_classes_singly_comes_to_the_same(number: int) -> None:
    """Truths, pairs and extensions."""
    read = Vector(number)
    prover = Prover(emergency=read.emergency)
    whole = prover.prove(read.tenant)
    parts = [prover._in_parts(read.tenant, expectation) for expectation in read.tenant.expectations]
    for one, other in zip(whole, parts, strict=True):
        assert (one.truth, one.callers) == (other.truth, other.callers)
        assert violations(one) == violations(other)
        assert (one.counterexample is None) is (other.counterexample is None)


def wild(*extensions: str) -> Tenant:
    """A tenant whose patterns are not told apart in reasonable time."""
    rule = CallPermission(1, mode=Mode.DENY, extensions=extensions, users=USERS[:1])
    expectation = Expectation("e", Who(Chosen.EVERYONE), ("_0.",), frozenset({Decision.DENY}))
    return Tenant(TENANT, users=tuple(map(User, USERS)), call_permissions=(rule,), expectations=(expectation,))


def test_too_many_states_are_no_proof() -> None:
    """Neither that it holds nor that it is broken, and it fails where it is enforced."""
    bounds = Bounds(states=2_000)
    (proof,) = Prover(bounds=bounds).prove(wild(*WILD))
    assert proof.truth is Truth.NOT_PROVEN
    assert proof.fails
    assert "more than 2,000 states" in proof.problem
    (report,) = Prover(bounds=bounds).prove(
        replace(tenant := wild(*WILD), expectations=(replace(tenant.expectations[0], enforce=False),))
    )
    assert not report.fails


def test_too_many_classes_are_no_proof() -> None:
    """Each would be looked at with its own patterns."""
    (proof,) = Prover(bounds=Bounds(states=2, walks=1)).prove(wild("_0."))
    assert proof.truth is Truth.NOT_PROVEN


def test_what_is_broken_is_broken_though_not_all_could_be_looked_at() -> None:
    """A call that breaks it is proof enough; who has no rules is looked at first here."""
    tenant = wild(*WILD)
    tenant = replace(tenant, users=tenant.users[::-1])
    (proof,) = Prover(bounds=Bounds(states=2_000)).prove(tenant)
    assert proof.truth is Truth.BROKEN
    assert "more than 2,000 states" in proof.problem


def test_an_edit_without_a_new_pattern_keeps_the_regions() -> None:
    """It costs what it touches; the answers are those of a fresh proof."""
    prover = Prover()
    first = wild("_0.", "_1.")
    prover.prove(first)
    rule = first.call_permissions[0]
    for edit in (replace(rule, mode=Mode.ALLOW), replace(rule, extensions=("_0.",), users=USERS)):
        tenant = replace(first, call_permissions=(edit,))
        (proof,), (fresh,) = prover.prove(tenant), Prover().prove(tenant)
        assert (proof.truth, violations(proof)) == (fresh.truth, violations(fresh))
