"""Every answer of the analysis equals that of the vectors: truths, violations, effects, differences, callers."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest
from analysis_vectors import NUMBERS, Vector

from pdp.rules.analysis.effects import Effects, Idle
from pdp.rules.analysis.expectations import Truth, prove
from pdp.rules.analysis.reachable import shares
from pdp.rules.model import Decision

every_vector = pytest.mark.parametrize("number", NUMBERS)


@lru_cache
def vector(number: int) -> Vector:
    """One file, read once."""
    return Vector(number)


def sampled(read: Vector, numbers: int) -> tuple[object, ...]:
    """A set as the vectors describe it."""
    sample = read.regions.sample(numbers)
    return list(sample.shortest), sample.shortest_count, list(sample.counts)


def described(region: dict[str, Any]) -> tuple[object, ...]:
    """A set of the vectors."""
    return region["shortest"], region["count_of_shortest"], region["counts"]


def first_of(read: Vector, numbers: int) -> str:
    """The extension of a set that the vectors look at: the shortest that can be dialled, if there is one."""
    return next(iter(read.regions.sample(numbers).shortest), read.regions.example(numbers))


@every_vector
def test_each_expectation_has_its_truth_and_every_violating_pair(number: int) -> None:
    """With the wrong decisions, and the exact extensions by example and count."""
    read = vector(number)
    for expectation, wanted in zip(read.tenant.expectations, read.answers["expectations"], strict=True):
        proof = prove(read.rulings, expectation)
        assert proof.truth == wanted["truth"], expectation.name
        assert bool(proof.callers) == bool(wanted["callers"])
        assert {
            (user, pair.outcall): ({each.name for each in row.decisions}, *sampled(read, row.numbers))
            for row in proof.violations
            for pair in row.pairs
            for user in pair.users or ("",)
        } == {
            pair: (set(row["decisions"]), *described(row))
            for row in wanted["violations"]
            for pair in read.pairs(row["pairs"])
        }, expectation.name


@every_vector
def test_a_counterexample_is_a_call_that_breaks_the_expectation(number: int) -> None:
    """It names the caller, the outcall, the extension, and all permissions that decide it."""
    read = vector(number)
    for expectation in read.tenant.expectations:
        proof = prove(read.rulings, expectation)
        if proof.truth is Truth.HOLDS:
            assert proof.counterexample is None
            continue
        found = proof.counterexample
        assert found is not None
        region = read.regions.region_of(found.extension)
        assert read.rulings.decide_known(found.caller, found.outcall, region) == found.decided
        assert found.decided.decision not in expectation.must
        assert region & read.regions.any_of(expectation.dial)


def idle(each: Idle) -> tuple[object, ...]:
    """Why something never decides, as the vectors say it."""
    by = {cause.value: {stage.name: sorted(ids) for stage, ids in of.items()} for cause, of in each.by.items()}
    return sorted(cause.value for cause in each.causes), by


@every_vector
def test_what_never_decides_is_found_with_its_causes(number: int) -> None:
    """Permissions, patterns of those that do, and what takes their extensions."""
    read = vector(number)
    effects, wanted = Effects(read.rulings), read.answers["never_decides"]
    assert {each.permission: idle(each) for each in effects.idle_permissions()} == {
        each["permission"]: (sorted(each["kinds"]), each["by"]) for each in wanted["permissions"]
    }
    assert {(each.permission, each.pattern): idle(each) for each in effects.idle_patterns()} == {
        (each["permission"], each["pattern"]): (sorted(each["kinds"]), each["by"]) for each in wanted["patterns"]
    }
    for_users = read.answers["never_decides_for_known_users"]["permissions"]
    assert effects.idle_for_users() == [each["permission"] for each in for_users]


@every_vector
def test_what_could_go_alone_is_found(number: int) -> None:
    """Each permission alone, and patterns that the others of their permission contain."""
    read = vector(number)
    effects = Effects(read.rulings)
    covered = read.answers["patterns_covered_by_their_own_permission"]
    assert effects.removable() == read.answers["removable_alone"]
    assert effects.covered_patterns() == [(each["permission"], each["pattern"]) for each in covered]


@every_vector
def test_every_other_permission_decides_the_call_that_the_vectors_name(number: int) -> None:
    """Alone or together with equals."""
    read = vector(number)
    for id_, call in read.answers["decides"].items():
        region = read.regions.region_of(call["number"])
        decided = read.rulings.decide_known(call["caller"] or "", call["outcall"], region)
        assert (decided.decision.name, decided.stage and decided.stage.name) == (call["decision"], call["stage"])
        assert int(id_) in decided.permissions


@every_vector
def test_a_difference_names_every_call_that_changes(number: int) -> None:
    """With the decision and the deciding permissions before and after."""
    read = vector(number)
    difference = read.difference
    found = {}
    for row in difference.calls:
        for change in row.changes:
            shown = sampled(read, change.numbers)
            region = read.regions.region_of(first_of(read, change.numbers))
            for pair in row.pairs:
                for user in pair.users or ("",):
                    by = [
                        difference.decided(each, user, pair.outcall, region)
                        for each in (difference.old, difference.new)
                    ]
                    decided = [
                        {"stage": each.stage.name if each.stage else "EMERGENCY", "permissions": list(each.permissions)}
                        for each in by
                    ]
                    found[user, pair.outcall, change.old.name, change.new.name] = (shown, *decided)
    assert found == {
        (*pair, change["old"], change["new"]): (described(change), change["old_by"], change["new_by"])
        for row in read.answers["diff"]["decision_changes"]
        for pair in read.pairs(row["pairs"])
        for change in row["changes"]
    }


@every_vector
def test_a_difference_names_every_call_with_another_password(number: int) -> None:
    """Challenged before and after, and never a decision that changes."""
    read = vector(number)
    assert {
        (user, pair.outcall, row.old, row.new): sampled(read, row.numbers)
        for row in read.difference.passwords
        for pair in row.pairs
        for user in pair.users or ("",)
    } == {
        (*pair, row["old_password"], row["new_password"]): described(row)
        for row in read.answers["diff"]["password_changes"]
        for pair in read.pairs(row["pairs"])
    }


@every_vector
def test_the_callers_of_a_pattern_are_told_apart_by_all_some_and_none(number: int) -> None:
    """Of the pattern's extensions, by decision."""
    read = vector(number)
    for asked in read.answers["callers_of_pattern"]:
        found = shares(read.rulings, read.regions.numbers(asked["pattern"]), asked["outcall"])
        assert {
            user: {decision.name: each.share(decision).value for decision in Decision}
            for each in found
            for user in each.users or ("",)
        } == {
            user: {decision.name: row[decision.name] for decision in Decision}
            for row in asked["answers"]
            for class_ in row["callers"]
            for user in read.callers(class_)
        }
