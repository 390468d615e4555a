"""Sections in the core: the same bytes as those in Python, whatever the rules, their limits and their edits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import strategies
from cores import built
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdp.rules.compiler.automata import DEAD, Limits
from pdp.rules.compiler.compiler import Compiler
from pdp.rules.compiler.engine import make_sections, python_sections
from pdp.rules.model import CallPermission, Revision, Tenant, User

if TYPE_CHECKING:
    from pdp.rules.compiler.engine import MakeSections

SECRET = b"a deployment's key"
REVISION = Revision(1, "0" * 64)
ALICE = "aaaaaaaa-1111-4111-8111-aaaaaaaaaaaa"
slow = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])


def compilers(limits: Limits) -> list[Compiler]:
    """One with sections in the core, and one with sections in Python."""
    return [Compiler(secret=SECRET, limits=limits, sections=sections) for sections in (make_sections, python_sections)]


@built
@slow
@given(st.lists(strategies.tenants(), min_size=1, max_size=3), st.sampled_from(strategies.LIMITS))
def test_rules_and_their_edits_are_compiled_to_the_same_bytes(states: list[Tenant], limits: Limits) -> None:
    """So that rules compiled with and without the core are one revision, and differ by the same delta."""
    core, python = compilers(limits)
    for state in states:
        assert core.compile(state, REVISION, compiled_at=0.0) == python.compile(state, REVISION, compiled_at=0.0)


PATTERNS = {
    "many wildcards": tuple(f"_{digit}!{other}.{digit}X" for digit in range(10) for other in range(10)),
    "many literals": tuple(str(number) for number in range(1000, 3000)),
    "more than a budget": tuple(f"_{number}[0-{number % 9}]XN." for number in range(1100)),
    "ranges beyond what can be named": ("_[#-9]X.", "_[*-4]!", "+[+--]1"),
    "long ones": ("_" + "X" * 60 + ".", "_" + "N" * 60 + "!", "9" * 120),
}


@built
@pytest.mark.parametrize("patterns", PATTERNS.values(), ids=PATTERNS)
@pytest.mark.parametrize("limits", strategies.LIMITS, ids=str)
def test_hard_profiles_are_the_same(patterns: tuple[str, ...], limits: Limits) -> None:
    """Rows, leaves and wide records, each where the other has it."""
    rules = Tenant(
        strategies.TENANT,
        users=(User(ALICE),),
        call_permissions=(
            CallPermission(1, extensions=patterns[::2], users=(ALICE,)),
            CallPermission(2, extensions=patterns[1::2], users=(ALICE,), password="1234"),
        ),
    )
    core, python = (one.compile(rules, REVISION, compiled_at=0.0) for one in compilers(limits))
    assert core == python


@pytest.mark.parametrize("make", [pytest.param(make_sections, marks=built), python_sections], ids=["core", "python"])
def test_what_is_no_pattern_or_slot_is_an_error(make: MakeSections) -> None:
    """A compiler at fault ends with an exception, not with other rules."""
    sections = make(strategies.TENANT, gaps=False, limits=Limits(), secret=None)
    assert sections.profile(((), (), ())) == DEAD
    with pytest.raises(IndexError):
        sections.profile(((1,), (), ()))
    with pytest.raises(IndexError):
        sections.slot(0)
    with pytest.raises(IndexError):
        sections.rest(0)
