"""Tenants whose rules cost too much: faulty, as those with a typing error are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from followers import publisher_to
from given import ACME, ALICE, BOLT, KEY, GivenSource, denying

from loader.cycle import Synchronizer
from loader.definitions.document import check_document
from loader.sources import open_source
from loader.too_costly import with_costs
from pdp.rules.compiler.costs import CostLimits
from pdp.rules.model import MAX_PERMISSION_PATTERNS, PasswordOverride

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest
    from redis_server import RedisServer

    from loader.jobs import Compilation
    from loader.sources.base import Source
    from pdp.rules.model import Tenant

BOB = ALICE.replace("2c", "3c")
LIMITS = CostLimits(caller_patterns=3)
COSTLY = ("1", "2", "3", "4")


def loader_of(redis: RedisServer, source: Source) -> Synchronizer:
    """A loader with a low limit."""
    publisher = publisher_to(redis)
    return Synchronizer(source, publisher, secret=KEY, password_override=PasswordOverride.ALL, cost_limits=LIMITS)


def test_a_costly_tenant_keeps_its_last_good_rules_and_a_new_one_is_closed(redis: RedisServer) -> None:
    """The fault names tenant and permission; other tenants are published; a repair is."""
    source = GivenSource(denying("118"), denying("119", tenant=BOLT, user=BOB))
    loader = loader_of(redis, source)
    good = {one.tenant: one.revision for one in loader.sync().published}
    source.tenants = (denying(*COSTLY), denying("117", tenant=BOLT, user=BOB))
    report = loader.sync()
    assert [one.tenant for one in report.published] == [BOLT]
    assert report.faulty == {ACME}
    (fault,) = report.errors
    assert (fault.tenant, fault.permission) == ("tenant 54eb", "1 (no)")
    assert "4 patterns, more than 3" in str(fault)
    standing = publisher_to(redis).standing()[ACME].current
    assert standing is not None
    assert standing.revision == good[ACME]
    source.tenants = (denying("118", "112"), source.tenants[1])
    assert [one.tenant for one in loader.sync().published] == [ACME]


def test_a_tenant_that_was_never_cheaper_is_closed(redis: RedisServer) -> None:
    """Its calls are rejected, and not decided as those of callers whom no tenant knows."""
    loader = loader_of(redis, GivenSource(denying(*COSTLY)))
    report = loader.sync()
    assert report.closed == (ACME,)
    standing = publisher_to(redis).standing()[ACME].current
    assert standing is not None
    assert standing.closed == 1


def test_rules_that_cost_too_much_are_compiled_once(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each cycle reports the fault again, and none spends the time again."""
    compiled: list[Tenant] = []
    work = Synchronizer._compile

    def noting(loader: Synchronizer, job: Compilation, checkpoint: Callable[[], None]) -> bytes:
        compiled.append(job.tenant)
        return work(loader, job, checkpoint)

    monkeypatch.setattr(Synchronizer, "_compile", noting)
    loader = loader_of(redis, GivenSource(denying(*COSTLY)))
    reports = [loader.sync() for _ in range(3)]
    assert [len(report.errors) for report in reports] == [1, 1, 1]
    assert [tenant.closed for tenant in compiled] == [0, 1]


def test_the_fault_names_the_line(redis: RedisServer, tmp_path: Path) -> None:
    """In a file, the permission's."""
    path = tmp_path / "acme.yaml"
    path.write_text(
        f"tenants:\n- uuid: {ACME}\n  users:\n  - uuid: {ALICE}\n  call_permissions:\n"
        f"  - id: 12\n    extensions: ['1', '2', '3', '4']\n    users: [{ALICE}]\n"
    )
    (fault,) = loader_of(redis, open_source(f"file:{path}")).sync().errors
    assert str(fault).startswith(f"{path}:6: tenant {ACME}, permission 12: ")


def test_definitions_can_be_checked_for_costs_without_publishing() -> None:
    """As ``rightcall validate`` does."""
    source = GivenSource(denying(*COSTLY), denying("119", tenant=BOLT, user=BOB))
    reading = with_costs(source, source.read(), LIMITS)
    assert reading.faulty == frozenset({ACME})
    assert [tenant.uuid for tenant in reading.tenants] == [BOLT]
    assert "4 patterns, more than 3" in str(reading.faults[0])


def test_a_permission_has_a_limit_of_its_own() -> None:
    """So a list that is too long is found where it stands, and closed alone where faults are isolated."""
    patterns = ", ".join("'1'" for _ in range(MAX_PERMISSION_PATTERNS + 1))
    text = f"tenants: [{{uuid: {ACME}, call_permissions: [{{id: 12, mode: allow, extensions: [{patterns}]}}]}}]"
    checked = check_document("acme.yaml", text.encode())
    (fault,) = checked.faults
    assert (fault.permission, fault.problem) == ("12", "'extensions' has 100001 members, more than 100000")
