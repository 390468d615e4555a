"""Mistakes of meaning: each planted one is found with its code, and what is shown is true."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import oracle
import pytest
from analysis_vectors import NUMBERS, Vector
from definitions import conformance_suites
from hypothesis import given, settings
from strategies import TENANT, USERS, tenants

from loader.definitions.document import check_document
from pdp.rules.analysis.lint.finding import CODES, Mistake, Rank
from pdp.rules.analysis.lint.lint import lint
from pdp.rules.model import CallPermission, Group, Mode, Outcall, Tenant, User

ROOT = Path(__file__).parents[3]
ALICE, BOB, CAROL, _ = USERS


def codes(found: list[Mistake], permission: int) -> set[str]:
    """The codes of the mistakes about a permission."""
    return {each.code for each in found if permission in each.permissions}


@pytest.mark.parametrize("number", NUMBERS)
def test_every_planted_mistake_is_found_with_its_code(number: int) -> None:
    """Eighteen kinds; the code is the kind's name."""
    read = Vector(number)
    found = lint(read.tenant, emergency_numbers=read.emergency)
    for planted in read.raw["planted"]:
        code = planted["kind"].replace("_", "-")
        about = set(planted["permissions"])
        assert [each for each in found if each.code == code and about <= set(each.permissions)], planted


@pytest.mark.parametrize("number", NUMBERS)
def test_a_call_that_is_shown_is_decided_so(number: int) -> None:
    """Where the oracle is asked."""
    read = Vector(number)
    for mistake in lint(read.tenant, emergency_numbers=read.emergency):
        call = mistake.call
        if call is not None and call.extension not in read.emergency:
            decided = oracle.decide(read.tenant, call.caller, call.extension, call.outcall or "")
            assert decided.decision is call.decision, mistake


@given(tenants())
@settings(max_examples=100, deadline=None)
def test_no_call_is_shown_that_is_decided_otherwise(tenant: Tenant) -> None:
    """Whatever the rules are."""
    for mistake in lint(tenant):
        if mistake.call is not None:
            call = mistake.call
            decided = oracle.decide(tenant, call.caller, call.extension, call.outcall or "")
            assert decided.decision is call.decision, mistake
        assert mistake.code in CODES


def test_the_example_company_has_no_serious_mistake() -> None:
    """It denies all to a group and allows some to a user, which is the usual way."""
    path = ROOT / "examples" / "company.yaml"
    (entry,) = check_document("company.yaml", path.read_bytes()).entries
    assert entry.tenant is not None
    found = lint(entry.tenant)
    assert [each for each in found if each.rank <= Rank.HIGH] == []
    assert [each.code for each in found].count("no-emergency-list") == 1


def test_what_is_serious_in_the_conformance_sets_is_shown_by_a_call() -> None:
    """No alarm of the two highest ranks without a call that is decided so."""
    for suite in conformance_suites():
        for tenant in suite.tenants:
            for mistake in lint(tenant):
                if mistake.rank <= Rank.HIGH:
                    assert mistake.call is not None, mistake
                    call = mistake.call
                    decided = oracle.decide(tenant, call.caller, call.extension, call.outcall or "")
                    assert decided.decision is call.decision


def rules(*permissions: CallPermission, **tenant: object) -> list[Mistake]:
    """The mistakes of a small tenant: Alice and Bob are in the group 7, Carol in none."""
    small = Tenant(
        TENANT,
        users=tuple(map(User, USERS[:3])),
        groups=(Group("7", "sales", users=(ALICE, BOB)),),
        outcalls=(Outcall("1", "national"), Outcall("2", "world")),
        call_permissions=permissions,
    )
    return lint(replace(small, **tenant))  # type: ignore[arg-type] # what a test gives


def deny(number: int, *extensions: str, password: str | None = None, **on: tuple[str, ...]) -> CallPermission:
    """A permission that denies."""
    return replace(CallPermission(number, f"p{number}", password=password, extensions=extensions), **on)  # type: ignore[arg-type] # associations


def allow(number: int, *extensions: str, **on: tuple[str, ...]) -> CallPermission:
    """A permission that allows."""
    return replace(deny(number, *extensions, password=None, **on), mode=Mode.ALLOW)


@pytest.mark.parametrize("pattern", ["_00", "_0", "_089", "_+", "00", "+"])
def test_a_pattern_without_its_dot_is_a_missing_tail(pattern: str) -> None:
    """``_00`` matches 00 alone."""
    (found,) = [each for each in rules(deny(1, pattern, groups=("7",))) if each.code == "missing-tail"]
    assert (found.rank, found.pattern) == (Rank.HIGH, pattern)
    assert found.call is not None
    assert "nothing longer" in found.text


@pytest.mark.parametrize("pattern", ["1456*", "00*", "*", "_0900*"])
def test_a_star_is_a_key(pattern: str) -> None:
    """And no wildcard."""
    assert "literal-star" in codes(rules(deny(1, pattern, groups=("7",))), 1)


@pytest.mark.parametrize("pattern", ["_00.", "112", "_112", "*21", "_*21X", "_0X", "118", "_00!", "0033123456789", "0"])
def test_other_patterns_are_what_they_seem_to_be(pattern: str) -> None:
    """Numbers, feature codes and prefixes with a tail."""
    assert not {"missing-tail", "literal-star"} & codes(rules(deny(1, pattern, groups=("7",))), 1)


def test_an_allow_that_is_narrower_is_an_exception_and_no_mistake() -> None:
    """Deny all on the group, allow some on the user."""
    found = rules(deny(1, "_!", groups=("7",)), allow(2, "_0033.", users=(ALICE,)), allow(3, "112", groups=("7",)))
    assert {each.code for each in found} <= {"no-emergency-list"}


def test_who_cannot_call_112_is_named_where_there_is_no_list() -> None:
    """In one line a tenant."""
    (found,) = [each for each in rules(deny(1, "_1.", groups=("7",))) if each.code == "no-emergency-list"]
    assert "112 is not allowed to sales (2 people)" in found.text


def test_pins_are_looked_at_and_never_shown() -> None:
    """Short, with a #, shared, the extension itself."""
    users = (User(ALICE, "201", extension="201"), User(BOB, "5#6789"), User(CAROL, "5#6789"))
    found = rules(deny(1, "_00.", password="07", groups=("7",)), users=users)
    pins = [each for each in found if "pin" in each.code]
    assert sorted({each.code for each in pins}) == ["pin-is-the-extension", "shared-pin", "short-pin", "untypable-pin"]
    assert not [each for each in pins if "5#6789" in each.text + each.remedy or "07" in each.text + each.remedy]


def test_every_code_is_in_the_manual_under_its_rank() -> None:
    """A reader who sees a code finds what it means."""
    page = (ROOT / "docs" / "lint.md").read_text(encoding="utf-8")
    sections = {
        part.split("\n")[0].lower(): [line[4:] for line in part.split("\n") if line.startswith("### ")]
        for part in page.split("\n## ")[1:]
    }
    documented = {code: rank for rank, listed in sections.items() for code in listed}
    assert documented == {code: kind.rank.name.lower() for code, kind in CODES.items()}
