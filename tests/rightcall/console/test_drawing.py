"""What the console draws: patterns, walks, and trees of digits."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from server import snapshot_of
from strategies import Call, calls, tenants

from pdp.rules.analysis.reach import reach
from pdp.rules.model import Decision
from pdp.rules.snapshot.walk import walks
from rightcall.client import values as wire
from rightcall.client.directory import Reach, ReachPattern
from rightcall.console.digits import tree_of
from rightcall.console.drawing import pattern_drawing, walk_drawing

if TYPE_CHECKING:
    from pdp.rules.analysis.reach import Reach as Found
    from pdp.rules.model import Tenant
    from rightcall.console.digits import Branch


quick = settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])


@quick
@given(tenants(), calls)
def test_the_last_walk_of_a_call_ends_where_the_call_is_decided(tenant: Tenant, call: Call) -> None:
    """And each step reads one character, from the first on."""
    snapshot = snapshot_of(tenant)
    found = walks(snapshot, call.caller, call.extension, call.outcall)
    decided = snapshot.decide(call.caller, call.extension, call.outcall)
    assert (found[-1].verdict if found and found[-1].verdict else snapshot.verdict(0)) == decided
    for walk in found:
        assert "".join(step.read for step in walk.steps) == call.extension[: len(walk.steps)]
        assert walk_drawing(walk).startswith("<svg")


@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        ("112", ["112"]),
        ("_0900.", ["0900", "any", "any number of any"]),
        ("_0[1-35]X!", ["0", "[1-35]", "X", "any number of any"]),
    ],
)
def test_a_pattern_is_drawn_box_by_box(pattern: str, texts: list[str]) -> None:
    """Digits stand together."""
    drawn = pattern_drawing(pattern)
    assert [unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)", str(drawn))] == texts


@pytest.mark.parametrize("pattern", ["_[0", "<script>", "_" + "[12]X" * 30])
def test_what_cannot_be_drawn_is_left_to_its_text(pattern: str) -> None:
    """No pattern, or too long."""
    assert pattern_drawing(pattern) is None


def _on_the_wire(found: Found) -> Reach:
    decision = wire.Decision(found.decision) if found.decision is not None else None
    return Reach(decision, None, None, tuple(ReachPattern(one.pattern, one.sample) for one in found.patterns))


@quick
@given(tenants(), st.sampled_from(["", "1"]))
def test_a_tree_of_digits_counts_every_pattern(tenant: Tenant, outcall: str) -> None:
    """Those below a branch begin as it says, and the first branches count all of them."""
    caller = tenant.users[0].uuid if tenant.users else ""
    reaches = [_on_the_wire(each) for each in reach(snapshot_of(tenant), caller, outcall, max_patterns=1000)]
    branches = tree_of(reaches)

    def below(branch: Branch) -> None:
        assert sum(branch.counts.values()) >= sum(sum(each.counts.values()) for each in branch.branches.values())
        for each in branch.branches.values():
            assert each.start.startswith(branch.start)
            below(each)

    for branch in branches:
        below(branch)
    assert sum(sum(branch.counts.values()) for branch in branches) == sum(len(each.patterns) for each in reaches)
    assert {name for branch in branches for name in branch.counts} <= {*Decision.__members__, "varies"}
