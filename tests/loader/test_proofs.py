"""Tenants whose expectations fail keep their last good rules, and everything tells of it."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

from given import ALICE, KEY
from prometheus_client import generate_latest
from waiting import until

from loader import jobs
from loader.cycle import Synchronizer
from loader.faults import Severity
from loader.metrics.registry import LoaderMetrics
from loader.proofs import Proofs
from loader.sources.file import FileSource
from pdp.rules.analysis.expectations import Truth
from pdp.rules.analysis.proving import Prover
from pdp.rules.effort import CHECKPOINT
from pdp.rules.model import PasswordOverride
from pdp.runtime.version import version
from rightcall.programs.local import Local, LocalClient

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from loader.report import SyncReport
    from pdp.rules.analysis.expectations import Proof
    from pdp.rules.model import Tenant

TENANT = "54eb71f8-1f4b-4ae4-8730-638062fbe521"


def definitions(
    path: Path, *patterns: str, enforce: bool = True, must: str = "deny", others: tuple[str, ...] = ()
) -> str:
    """A tenant that denies some patterns, and expects that premium numbers are denied; and others, without users."""
    expectation = {
        "name": "no-premium",
        "who": "everyone",
        "dial": ["_0900."],
        "through": "none",
        "must": must,
        "enforce": enforce,
    }
    tenant = {
        "uuid": TENANT,
        "name": "acme",
        "users": [{"uuid": ALICE, "name": "Alice", "extension": "201"}],
        "call_permissions": [{"id": 1, "name": "premium", "extensions": list(patterns), "users": [ALICE]}],
        "expectations": [expectation],
    }
    further = [{"uuid": uuid, "expectations": [expectation]} for uuid in others]
    path.write_text(json.dumps({"tenants": [tenant, *further]}, indent=1))
    return str(path)


def test_a_tenant_whose_expectation_fails_keeps_its_last_good_rules(tmp_path: Path) -> None:
    """Until the edit is undone, or the expectation changed with it."""
    path = tmp_path / "rules.json"
    local = Local(definitions(path, "_0900."))
    assert local.load().published

    definitions(path, "_0900")
    report = local.loader.load()
    assert not report.published
    assert report.faulty == {TENANT}
    (fault,) = report.errors
    assert str(fault).startswith(f"{path}:")
    assert "tenant acme: expectation no-premium is broken: _0900. must be denied; E.g. Alice (201) dials " in str(fault)
    assert path.read_text().splitlines()[(fault.line or 0) - 1].strip() == "{"
    (held,) = local.current.held()
    assert held.snapshot.decide(ALICE, "0900123456", "").decision.name == "DENY"

    definitions(path, "_0900", must="allow")
    assert local.loader.load().published
    local.close()


def test_what_is_not_enforced_is_a_warning_and_is_published(tmp_path: Path) -> None:
    """Told, and in force."""
    path = tmp_path / "rules.json"
    local = Local(definitions(path, "_0900", enforce=False))
    report = local.load()
    assert report.published
    (fault,) = report.faults
    assert fault.severity is Severity.WARNING
    local.close()


def test_a_tenant_that_did_not_change_is_not_proven_again(tmp_path: Path) -> None:
    """The very proofs of the last time."""
    path = tmp_path / "rules.json"
    source = FileSource(definitions(path, "_0900"))
    proofs = Proofs(source)
    first = proofs.checked(source.read())
    before = proofs._proven[TENANT]
    assert proofs.checked(source.read()) == first
    assert proofs._proven[TENANT] is before
    assert (proofs.count(Truth.BROKEN), proofs.count(Truth.HOLDS)) == (1, 0)
    definitions(path, "_0900", "_0900.")
    assert not proofs.checked(source.read()).faults
    assert (proofs.count(Truth.BROKEN), proofs.count(Truth.HOLDS)) == (0, 1)


def test_a_proof_that_takes_long_holds_back_its_tenant_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More slow ones than run at once are under way; the other tenants are published, and none is taken for gone."""
    monkeypatch.setattr(jobs, "QUICK_SECONDS", -1.0)
    slow = tuple(f"{number:08}-0000-4000-8000-000000000000" for number in range(4))
    go_on, prove = threading.Event(), Prover.prove

    def slowly(self: Prover, tenant: Tenant) -> tuple[Proof, ...]:
        if tenant.uuid in slow:
            CHECKPOINT.get()()
            go_on.wait()
        CHECKPOINT.set(lambda: None)  # not one of the slow ones, and those have gone on
        return prove(self, tenant)

    path = tmp_path / "rules.json"
    local = Local(definitions(path, "_0900.", others=slow))
    assert len(local.load().published) == 5
    definitions(path, "_0900.", "118", must="allow", others=slow)
    monkeypatch.setattr(Prover, "prove", slowly)
    report = local.loader._synchronizer.sync(0.2)
    assert not report.published
    assert (set(report.faulty), report.pending) == ({TENANT}, slow)
    definitions(path, "_0900.", "118", must="challenge", others=slow)
    assert local.loader._synchronizer.sync(0.2).pending == slow
    definitions(path, "_0900.", "118", others=slow)
    report = local.loader._synchronizer.sync(0.2)
    assert [one.tenant for one in report.published] == [TENANT]
    assert (report.removed, report.pending) == ((), ())
    go_on.set()

    def settled() -> bool:
        return not local.loader._synchronizer.sync(0.2).pending

    until(settled, "all are proven")
    local.close()


def test_a_tenant_that_changes_while_it_is_proven_is_proven_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was proven of its earlier rules does not count."""
    go_on, prove = threading.Event(), Prover.prove
    monkeypatch.setattr(Prover, "prove", lambda self, tenant: go_on.wait() and prove(self, tenant))
    path = tmp_path / "rules.json"
    source = FileSource(definitions(path, "_0900."))
    proofs = Proofs(source)
    proofs.checked(source.read(), 0.0)
    assert proofs.pending == {TENANT}
    definitions(path, "_0900")
    proofs.checked(source.read(), 0.0)
    assert proofs.pending == {TENANT}
    go_on.set()
    assert proofs.checked(source.read()).faulty == {TENANT}
    assert not proofs.pending


def test_definitions_whose_expectations_fail_can_be_asked(tmp_path: Path) -> None:
    """Whoever looks for what is wrong asks them, and nothing is published by that."""
    path = tmp_path / "rules.json"
    client = LocalClient(definitions(path, "_0900"))
    assert client.check(extension="0900123456", caller=ALICE).allowed


def test_a_leading_loader_counts_its_expectations(tmp_path: Path) -> None:
    """By what came of them."""
    path = tmp_path / "rules.json"
    local = Local(definitions(path, "_0900"))
    source = FileSource(str(path))
    synchronizer = Synchronizer(
        source, local.loader._synchronizer._publisher, secret=KEY, password_override=PasswordOverride.ALL
    )
    metrics = LoaderMetrics(version(), lambda: True)
    report: SyncReport = synchronizer.sync()
    metrics.note(report)
    text = generate_latest(metrics.registry).decode()
    assert 'rightcall_loader_expectations{truth="broken"} 1.0' in text
    assert 'rightcall_loader_expectations{truth="holds"} 0.0' in text
    assert "rightcall_loader_faulty_tenants 1.0" in text
    local.close()
