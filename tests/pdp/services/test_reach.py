"""What a caller may dial: the patterns say what brute force says, are disjoint, and are together everything."""

from __future__ import annotations

import random
from itertools import product
from typing import Any

import oracle
import pytest
from definitions import tenant_from
from hypothesis import given, settings
from hypothesis import strategies as st
from reaches import saying
from server import snapshot_of
from strategies import OUTCALLS, STRANGER, USERS, extensions, tenants

from pdp.rules.analysis.reach import Reach, reach
from pdp.rules.model import Decision, Stage, Tenant
from pdp.rules.patterns.alphabet import ANY_MASK, OTHER, STAR, mask_of, mask_of_range
from pdp.rules.patterns.notation import LOOP, class_text, sample_of, text_of
from pdp.rules.patterns.parser import parse

ALICE = "2c34c282-433e-4bb8-8d56-fec14ff7e1e9"
UNIVERSE = ["".join(characters) for length in (1, 2, 3) for characters in product("019*#,a", repeat=length)]


def tenant_with(*permissions: dict[str, Any], **more: Any) -> Tenant:
    """A tenant with one user, whose permissions these are unless they say whose they are."""
    own = [{"id": number, "users": [ALICE], **rule} for number, rule in enumerate(permissions, 1)]
    return tenant_from({"uuid": USERS[0], "users": [{"uuid": ALICE}], "call_permissions": own, **more})


def reaches_of(tenant: Tenant, *, by_permission: bool = False, max_patterns: int = 1000) -> list[Reach]:
    """What the one user of a tenant reaches."""
    return reach(snapshot_of(tenant), ALICE, "", by_permission=by_permission, max_patterns=max_patterns)


def patterns_of(tenant: Tenant, **options: Any) -> dict[str, list[str]]:
    """The patterns by decision."""
    return {
        one.decision.name if one.decision else "?": [pattern.pattern for pattern in one.patterns]
        for one in reaches_of(tenant, **options)
    }


@pytest.mark.parametrize(
    ("extensions_", "expected"),
    [
        ([], {"ALLOW": ["_."]}),
        (["_!"], {"DENY": ["_."]}),
        (["118"], {"ALLOW": ["1", "11", "_118.", "_11[^8]!", "_1[^1]!", "_[^1]!"], "DENY": ["118"]}),
        (["_00."], {"ALLOW": ["0", "00", "_0[^0]!", "_[^0]!"], "DENY": ["_00."]}),
        (["_00!"], {"ALLOW": ["0", "_0[^0]!", "_[^0]!"], "DENY": ["_00!"]}),
        (["_0X", "_0X."], {"ALLOW": ["0", "_0[^0-9]!", "_[^0]!"], "DENY": ["_0X!"]}),
        (["_0.1"], {"ALLOW": ["0", "_0.[^1]", "_0?", "_[^0]!"], "DENY": ["_0.1"]}),
        (["_!1!"], {"ALLOW": ["_{[^1]}"], "DENY": ["_{[^1]}1!"]}),
        (["_[0-8]!", "_9!"], {"ALLOW": ["_[^0-9]!"], "DENY": ["_X!"]}),
        (["_[#-9]!"], {"ALLOW": ["_[^#-9]!"], "DENY": ["_[#-9]!"]}),
        (["_[*+-]", "_[*-+]."], {"ALLOW": ["_-.", "_[^*+-]!"], "DENY": ["-", "_[*+]!"]}),
    ],
)
def test_a_permission_divides_all_extensions(extensions_: list[str], expected: dict[str, list[str]]) -> None:
    """Common patterns have short answers."""
    assert patterns_of(tenant_with({"extensions": extensions_})) == expected


@settings(max_examples=100, deadline=None)
@given(tenants(), st.sampled_from([*USERS, STRANGER, ""]), st.sampled_from([*OUTCALLS, "", "unknown"]), st.booleans())
def test_every_extension_has_one_pattern_and_its_answer(
    tenant: Tenant,
    caller: str,
    outcall: str,
    by_permission: bool,  # noqa: FBT001 - hypothesis gives it
) -> None:
    """On a small universe, patterns of random rules are disjoint, complete and right; and so are their samples."""
    snapshot = snapshot_of(tenant)
    reaches = reach(snapshot, caller, outcall, by_permission=by_permission, max_patterns=2000)
    samples = [pattern.sample for one in reaches for pattern in one.patterns]
    for extension in [*UNIVERSE, *samples]:
        (said,) = saying(reaches, extension)
        verdict = snapshot.decide(caller, extension, outcall)
        if said.decision is not None:
            assert said.decision is verdict.decision
            assert said.verdict == (verdict if by_permission else None)


@settings(max_examples=100, deadline=None)
@given(tenants(), st.sampled_from(USERS), extensions, st.integers(1, 30))
def test_what_does_not_fit_is_said_to_be_undecided(tenant: Tenant, caller: str, extension: str, most: int) -> None:
    """However few patterns there may be, and whatever is dialled: the oracle's answer, or none; never another one."""
    reaches = reach(snapshot_of(tenant), caller, OUTCALLS[0], max_patterns=most)
    assert sum(len(one.patterns) for one in reaches) <= most
    (said,) = saying(reaches, extension)
    assert said.decision in (None, oracle.decide(tenant, caller, extension, OUTCALLS[0]).decision)
    assert all(one.decision for one in reaches[:-1])


def test_the_deciding_permission_is_told_where_it_is_asked_for() -> None:
    """By permission, what is allowed for different reasons is told apart."""
    tenant = tenant_with(
        {"name": "ours", "mode": "allow", "extensions": ["_1."]},
        {"name": "pin", "password": "1", "extensions": ["_2."]},
    )
    told = [
        (one.verdict.decision, one.verdict.stage, one.verdict.permission_name, [part.pattern for part in one.patterns])
        for one in reaches_of(tenant, by_permission=True)
        if one.verdict
    ]
    assert told == [
        (Decision.ALLOW, Stage.NONE, "", ["_[12]", "_[^12]!"]),
        (Decision.ALLOW, Stage.USER, "ours", ["_1."]),
        (Decision.CHALLENGE, Stage.USER, "pin", ["_2."]),
    ]
    assert patterns_of(tenant) == {"ALLOW": ["2", "_[^2]!"], "CHALLENGE": ["_2."]}


def test_a_call_of_no_tenant_reaches_everything() -> None:
    """As every such call is allowed."""
    (everything,) = reach(None, ALICE, "", max_patterns=10)
    assert everything.decision is Decision.ALLOW
    assert [part.pattern for part in everything.patterns] == ["_."]


def test_what_nobody_can_dial_is_not_told() -> None:
    """Behind 128 characters there is no 129th."""
    patterns = patterns_of(tenant_with({"extensions": ["1" * 128]}))
    assert patterns["DENY"] == ["1" * 128]
    assert "_" + "1" * 128 + "." not in patterns["ALLOW"]


def test_circles_are_left_undecided() -> None:
    """Where no pattern can say it, nothing wrong is said."""
    patterns = patterns_of(tenant_with({"extensions": ["_!12!"]}))
    assert patterns["?"] == ["_{[^1]}1{1}[^12]!"]
    assert patterns["DENY"] == ["_{[^1]}1{1}2!"]


def test_disabled_permissions_and_groups_do_not_count() -> None:
    """They take no part in decisions either."""
    groups = [{"id": "1", "enabled": False, "users": [ALICE]}, {"id": "2", "users": [ALICE]}]
    rules: list[dict[str, Any]] = [
        {"extensions": ["_1."], "enabled": False},
        {"extensions": ["_2."], "users": [], "groups": ["1"]},
        {"extensions": ["_3."], "users": [], "groups": ["1", "2"]},
    ]
    assert patterns_of(tenant_with(*rules, groups=groups)) == {"ALLOW": ["3", "_[^3]!"], "DENY": ["_3."]}


def test_many_hard_patterns_end_within_their_bounds() -> None:
    """A permission of thousands of patterns gets no more patterns than there may be, and many are decided."""
    chosen = random.Random(5)
    hard = ["_" + "".join(chosen.choices(["[1-5]", "X", "N", "3", "4", "[7-9]"], k=9)) + "." for _ in range(2000)]
    reaches = reaches_of(tenant_with({"extensions": hard}), max_patterns=500)
    assert [one.decision for one in reaches] == [Decision.ALLOW, None]
    assert sum(len(one.patterns) for one in reaches) <= 500
    assert len(reaches[0].patterns) > 30


def test_classes_are_written_as_patterns_read_them() -> None:
    """Every class that patterns can name is read back as itself; in the others all is listed."""
    for first, last in product("#*+-059", repeat=2):
        for more in ("", "7", "-", "*"):
            if first <= last:
                mask = mask_of_range(first, last) | (mask_of(more) if more else 0)
                text = class_text(mask)
                if not set("$,/").intersection(text):
                    assert parse(text).tokens == (mask,), text
    assert class_text(1 << OTHER) == "[^#-9]"
    assert class_text(ANY_MASK & ~mask_of("-")) == "[^-]"
    assert class_text(mask_of_range("$", "(") | mask_of("5")) == "[5$-)]"


def test_sets_are_written_in_normal_form() -> None:
    """Characters of any kind stand before what is any number of them."""
    one, any_, star = mask_of("1"), ANY_MASK, STAR
    assert text_of((one, one)) == "11"
    assert text_of((one, any_, any_)) == "_1??"
    assert text_of((one, any_, star, any_, one)) == "_1?.1"
    assert text_of((star, one)) == "_!1"
    assert text_of((one | LOOP, one)) == "_{1}1"
    assert sample_of((one | LOOP,)) == "1"
    assert sample_of((star, one)) == "1"
