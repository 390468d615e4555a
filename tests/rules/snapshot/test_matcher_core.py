"""The matcher in the core: it decides as the one in Python, and it trusts no value in a blob."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import strategies
from cores import built
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdp.rules.compiler.compiler import Compiler
from pdp.rules.model import CallPermission, Outcall, Revision, Tenant, User
from pdp.rules.snapshot.blob import Section, seal, unseal
from pdp.rules.snapshot.matcher import Matcher, make_matcher
from pdp.rules.snapshot.snapshot import Snapshot, decode

if TYPE_CHECKING:
    from strategies import Call

    from pdp.rules.compiler.automata import Limits
    from pdp.rules.snapshot.matcher import Matching

REVISION = Revision(1, "0" * 64)
ALICE = "aaaaaaaa-1111-4111-8111-aaaaaaaaaaaa"
RULES = Tenant(
    strategies.TENANT,
    users=(User(ALICE),),
    outcalls=(Outcall("1"), Outcall("ö")),
    call_permissions=(
        CallPermission(1, name="premium", extensions=("_0900.", "118"), users=(ALICE,)),
        CallPermission(2, name="n" * 60, extensions=("_X.",), outcalls=("1",)),
        CallPermission(3, name="hard", extensions=tuple(f"_.{digit}!{digit}." for digit in range(10)), outcalls=("ö",)),
    ),
)
BLOB = Compiler().compile(RULES, REVISION, compiled_at=0.0)
slow = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])


def matchers(snapshot: Snapshot) -> list[Matching]:
    """The one in Python, and the other one, over the tables of a snapshot."""
    tables = (snapshot._users, snapshot._outcalls, snapshot._automaton, snapshot._permissions, snapshot._strings)
    return [Matcher(*tables), make_matcher(*tables)]


@built
@slow
@given(strategies.tenants(), strategies.call_lists, st.sampled_from(strategies.LIMITS))
def test_it_decides_as_the_one_in_python(tenant: Tenant, calls: list[Call], limits: Limits) -> None:
    """Whatever the rules, the call and the budget."""
    readable, compiled = matchers(decode(Compiler(limits=limits).compile(tenant, REVISION, compiled_at=0.0)))
    for call in calls:
        assert compiled.knows_caller(call[0]) == readable.knows_caller(call[0])
        assert compiled.match(*call) == readable.match(*call)
        assert compiled.decide(*call) == readable.decide(*call) == compiled.verdict(compiled.match(*call))


@built
@pytest.mark.parametrize(
    "caller", ["", ALICE, ALICE.upper(), "x", "é" * 36, "\udc80" * 36, "\0" * 36, "1" * 10_000], ids=ascii
)
@pytest.mark.parametrize(
    "extension",
    ["118", "0900", "09001", "é", "\udc80", "🎉" * 128, "1" * 158, "1" * 159, "1" * 160, "1" * 10_000],
    ids=ascii,
)
@pytest.mark.parametrize("outcall", ["", "1", "ö", "\udc80", "2" * 10_000], ids=ascii)
def test_odd_texts_are_decided_as_by_the_one_in_python(caller: str, extension: str, outcall: str) -> None:
    """Beyond ASCII, no text at all, and longer than any key or word."""
    readable, compiled = matchers(decode(BLOB))
    assert compiled.knows_caller(caller) == readable.knows_caller(caller)
    assert compiled.decide(caller, extension, outcall) == readable.decide(caller, extension, outcall)


@built
def test_it_takes_nothing_but_texts() -> None:
    """What a caller of another language's habits might hand over."""
    _, compiled = matchers(decode(BLOB))
    for call in ((ALICE, "118", None), (None, "118", ""), (ALICE, b"118", "")):
        with pytest.raises(TypeError):
            compiled.decide(*call)


@built
@settings(deadline=None, max_examples=400)
@given(
    section=st.sampled_from([section for section in Section if section is not Section.META]),
    places=st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=8),
    call=strategies.calls | st.tuples(st.just(ALICE), st.text("0189", max_size=200), st.sampled_from(["1", "ö"])),
)
def test_values_that_lead_outside_are_errors(section: Section, places: list[tuple[int, int]], call: Call) -> None:
    """A blob of nonsense under a right checksum is decided somehow or is an error, and the process goes on."""
    sections = {name: bytearray(extent.view) for name, extent in unseal(BLOB).items()}
    for place, value in places:
        if content := sections[section]:
            content[place % len(content)] = value
    with suppress(Exception):  # which one it is does not matter: the call is answered with INTERNAL
        decode(seal(sections, None)).decide(*call)
