"""Which snapshot decides a call."""

from __future__ import annotations

import pytest
from given import ACME, ALICE, BOB, BOLT

from pdp.errors import AmbiguousOutcall, NotReady, UnknownTenant
from pdp.rules.compiler.compiler import Compiler
from pdp.rules.model import Outcall, Revision, Tenant, User
from pdp.rules.snapshot.snapshot import Snapshot, decode
from pdp.snapshots.current import CurrentSnapshots
from pdp.snapshots.readiness import readiness

STRANGER = "00000000-0000-4000-8000-000000000000"


def snapshot(tenant: str, *users: str, outcalls: tuple[str, ...] = (), number: int = 1) -> Snapshot:
    """A tenant with these users and outcalls."""
    rules = Tenant(tenant, users=tuple(map(User, users)), outcalls=tuple(map(Outcall, outcalls)))
    return decode(Compiler().compile(rules, Revision(number, "0" * 64), compiled_at=0.0))


@pytest.fixture
def current() -> CurrentSnapshots:
    """Two tenants: Alice's with outcalls 1 and 2, Bob's with 2 and 3."""
    made = CurrentSnapshots("test")
    made.replace(snapshot(ACME, ALICE, outcalls=("1", "2")))
    made.replace(snapshot(BOLT, BOB, outcalls=("2", "3")))
    return made


def tenant_of(current: CurrentSnapshots, caller: str, outcall: str = "", tenant: str = "") -> str | None:
    """The tenant that decides; asked twice, so that what is remembered is looked at as well."""
    found = [current.resolve(caller, outcall, tenant) for _ in range(2)]
    assert found[0] is found[1]
    return found[0].tenant if found[0] else None


def test_a_call_belongs_to_its_callers_tenant(current: CurrentSnapshots) -> None:
    """Whatever outcall it leaves through, and in whichever case the UUID is written."""
    assert tenant_of(current, ALICE) == ACME
    assert tenant_of(current, BOB, "1") == BOLT
    assert tenant_of(current, BOB.upper(), "1") == BOLT


def test_a_call_without_a_known_caller_belongs_to_its_outcalls_tenant(current: CurrentSnapshots) -> None:
    """An empty caller, a stranger, and one that is no UUID."""
    for caller in ("", STRANGER, "x", "é" * 36):
        assert tenant_of(current, caller, "1") == ACME
        assert tenant_of(current, caller, "3") == BOLT


def test_a_call_that_nobody_knows_belongs_to_no_tenant(current: CurrentSnapshots) -> None:
    """No caller, no outcall, or ones that nobody has."""
    assert tenant_of(current, "") is None
    assert tenant_of(current, STRANGER) is None
    assert tenant_of(current, "", "99") is None
    assert tenant_of(current, "", "9" * 100_000) is None


def test_the_only_tenant_decides_what_it_knows() -> None:
    """Its callers, in either case, and its outcalls; all else belongs to nobody."""
    current = CurrentSnapshots("test")
    current.replace(snapshot(ACME, ALICE, outcalls=("1",)))

    assert tenant_of(current, ALICE, "99") == ACME
    assert tenant_of(current, ALICE.upper()) == ACME
    assert tenant_of(current, STRANGER, "1") == ACME
    assert tenant_of(current, BOB) is None
    assert tenant_of(current, "x", "99") is None


def test_an_outcall_of_two_tenants_asks_for_the_tenant(current: CurrentSnapshots) -> None:
    """Guessing would decide a call by somebody else's rules."""
    with pytest.raises(AmbiguousOutcall, match="name the tenant"):
        current.resolve("", "2", "")
    assert tenant_of(current, "", "2", tenant=BOLT) == BOLT


def test_the_tenant_that_is_named_decides(current: CurrentSnapshots) -> None:
    """Also for the caller of another one; in either case of its UUID."""
    assert tenant_of(current, ALICE, tenant=BOLT) == BOLT
    assert tenant_of(current, ALICE, tenant=BOLT.upper()) == BOLT


def test_a_named_tenant_that_nobody_knows_is_an_error(current: CurrentSnapshots) -> None:
    """Falling back to another tenant's rules would be a guess."""
    with pytest.raises(UnknownTenant, match="is not known here"):
        current.resolve(ALICE, "", STRANGER)


def test_without_any_snapshot_nothing_is_decided() -> None:
    """Every call would be allowed otherwise; and so after the last tenant is removed."""
    current = CurrentSnapshots("test")
    with pytest.raises(NotReady):
        current.resolve(ALICE, "", "")
    current.replace(snapshot(ACME, ALICE))
    current.remove(ACME)
    with pytest.raises(NotReady):
        current.resolve(ALICE, "", ACME)


def test_what_is_remembered_of_a_caller_does_not_outlive_the_rules(current: CurrentSnapshots) -> None:
    """A caller who moves to another tenant, leaves, and comes back is decided by where it is."""
    assert tenant_of(current, ALICE) == ACME
    current.replace(snapshot(ACME, number=2))
    assert tenant_of(current, ALICE) is None
    current.replace(snapshot(BOLT, BOB, ALICE, number=2))
    assert tenant_of(current, ALICE) == BOLT
    current.remove(BOLT)
    assert tenant_of(current, ALICE) is None
    current.replace(snapshot(ACME, ALICE, number=3))
    assert tenant_of(current, ALICE) == ACME


def test_an_outcall_that_a_second_tenant_gains_is_no_longer_decided_by_the_first(current: CurrentSnapshots) -> None:
    """What was found out about an outcall holds until the next replacement only."""
    assert tenant_of(current, "", "1") == ACME
    current.replace(snapshot(BOLT, BOB, outcalls=("1",), number=2))
    with pytest.raises(AmbiguousOutcall):
        current.resolve("", "1", "")


@pytest.mark.parametrize(("most", "ready"), [(0.0, True), (30.0, True), (20.0, False)])
def test_edits_that_are_unread_for_too_long_end_readiness(
    current: CurrentSnapshots, most: float, *, ready: bool
) -> None:
    """Of a server that reads definitions itself, where that is asked for."""
    current.unread_seconds = lambda: 25.0
    now, reason = readiness(current, max_staleness=most, strangers=False)
    assert now == ready
    assert ("edits of the last 25 s may be unread" in reason) == (not ready)


def test_readiness_is_told_when_it_changes(current: CurrentSnapshots) -> None:
    """At once to who asks, then on the first snapshot and on the loss of the last, not in between."""
    told: list[bool] = []
    current.on_ready(told.append)
    current.remove(ACME)
    current.remove(BOLT)
    current.replace(snapshot(ACME))
    current.replace(snapshot(BOLT))
    assert told == [True, False, True]
