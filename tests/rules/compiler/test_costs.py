"""The limits of one tenant's costs, with an error that names the permission."""

from __future__ import annotations

import random
import string
from dataclasses import replace

import oracle
import pytest
import strategies
from bench.workload import make_workload

from pdp.rules.compiler.automata import Limits
from pdp.rules.compiler.compiler import Compiler
from pdp.rules.compiler.costs import CostLimits
from pdp.rules.errors import CostError
from pdp.rules.model import CallPermission, Group, Mode, Outcall, Revision, Tenant, User
from pdp.rules.snapshot.blob import Section, unseal
from pdp.rules.snapshot.snapshot import decode

REVISION = Revision(1, "0" * 64)
ROWS = Limits(rows=256)
RNG = random.Random(5)
HARD = tuple(f"_!{number:03d}!{RNG.choice(string.digits)}X" for number in range(100))
"""Patterns that no table fits together."""
USERS = tuple(f"{number:08d}-0000-4000-8000-000000000000" for number in range(30))


def tenant_of(*permissions: CallPermission) -> Tenant:
    """A tenant with thirty users, all of them in group 1, and one outcall."""
    users, group = tuple(map(User, USERS)), Group("1", users=USERS)
    return Tenant(strategies.TENANT, "", users, (group,), (Outcall("1"),), permissions)


def own(number: int) -> CallPermission:
    """A permission of one user alone."""
    return CallPermission(100 + number, extensions=(f"9{number:03d}",), users=(USERS[number],))


def compiled(tenant: Tenant, limits: CostLimits | None = None) -> bytes:
    """The snapshot of a tenant."""
    return Compiler(limits=ROWS, cost_limits=limits).compile(tenant, REVISION, compiled_at=0.0)


EASY = CallPermission(1, extensions=("0900", "_00."), users=USERS[:1])
COSTLY = CallPermission(7, extensions=HARD, groups=("1",))


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        (CostLimits(tenant_patterns=50), "the tenant has 102 patterns, more than 50"),
        (CostLimits(caller_patterns=50), "102 patterns, more than 50"),
        (CostLimits(positions=500), "characters together"),
        (CostLimits(seconds=-1e9), "compiling the tenant takes more than"),
    ],
    ids=["tenant", "caller", "positions", "seconds"],
)
def test_beyond_a_limit_the_error_names_the_permission_that_costs_most(limits: CostLimits, problem: str) -> None:
    """Not the tenant's first permission, and not one of the same caller that costs nothing."""
    with pytest.raises(CostError, match=problem) as raised:
        compiled(tenant_of(EASY, COSTLY), limits)
    assert raised.value.permission == COSTLY.id


def test_a_compiler_goes_on_after_an_error() -> None:
    """The repaired tenant is compiled as by a new compiler."""
    compiler = Compiler(limits=ROWS, cost_limits=CostLimits(positions=500))
    tenant, repaired = tenant_of(EASY, COSTLY), tenant_of(EASY, replace(COSTLY, extensions=("_00.",)))
    before = compiler.compile(repaired, REVISION, compiled_at=0.0)
    with pytest.raises(CostError):
        compiler.compile(tenant, REVISION, compiled_at=0.0)
    assert compiler.compile(repaired, REVISION, compiled_at=0.0) == before


def test_hard_patterns_are_tried_once_for_all_who_share_them() -> None:
    """One more permission for each of thirty users costs no further rows, and the decisions stay right."""
    one = unseal(compiled(tenant_of(COSTLY)))[Section.BLOCKS].view
    tenant = tenant_of(COSTLY, *(own(number) for number in range(len(USERS))))
    blob = compiled(tenant)
    assert len(unseal(blob)[Section.BLOCKS].view) < 1.1 * len(one)
    snapshot, rng = decode(blob), random.Random(1)
    for number, user in enumerate(USERS):
        for extension in (f"9{number:03d}", f"9{number + 1:03d}", "".join(rng.choices("0123456789", k=9))):
            assert snapshot.decide(user, extension, "")[:2] == oracle.decide(tenant, user, extension, "")[:2]


def test_an_allow_of_everything_takes_hard_patterns_away() -> None:
    """A user who may dial everything has a profile of one pattern, although its group's are hard."""
    allow = replace(own(1), mode=Mode.ALLOW, extensions=("_!",))
    tenant = tenant_of(COSTLY, own(0), allow)
    limits = CostLimits(positions=1000)
    snapshot = decode(compiled(tenant, limits))
    assert snapshot.decide(USERS[1], "123456", "").permission_id == allow.id


def test_ordinary_rules_are_far_below_every_limit() -> None:
    """The benchmarks' rules compile with a hundredth of the limits."""
    full = CostLimits()
    limits = CostLimits(full.tenant_patterns // 100, full.caller_patterns // 100, positions=0, seconds=3.0)
    Compiler(cost_limits=limits).compile(make_workload(2000, calls=1).tenant, REVISION, compiled_at=0.0)
