"""Every answer of Wazo Platform in ``tests/cases/wazo``, by the oracle and by compiled snapshots."""

from __future__ import annotations

import mmap
import tempfile
from typing import TYPE_CHECKING

import definitions
import oracle
import pytest
from strategies import LIMITS

from pdp.rules.compiler.compiler import Compiler
from pdp.rules.model import Decision, PasswordOverride, Revision, Stage
from pdp.rules.snapshot.snapshot import decode

if TYPE_CHECKING:
    from definitions import ConformanceCase, ConformanceSuite

    from pdp.rules.compiler.automata import Limits
    from pdp.rules.model import Tenant
    from pdp.rules.snapshot.snapshot import Snapshot

SECRET = b"a key of the deployment"
SUITES = definitions.conformance_suites()
WRONG = "*#0*#0"


def snapshot_of(
    tenant: Tenant, override: PasswordOverride = PasswordOverride.ALL, limits: Limits | None = None
) -> Snapshot:
    """The snapshot of a tenant, encoded and decoded."""
    compiler = Compiler(secret=SECRET, password_override=override, limits=limits)
    return decode(compiler.compile(tenant, Revision(1, "0" * 64), compiled_at=0.0), secrets=[SECRET])


def check(snapshot: Snapshot | None, case: ConformanceCase, override: PasswordOverride) -> None:
    """Asks a snapshot; None: the call belongs to nobody."""
    if snapshot is None:
        assert (case.decision, case.stage) == ("ALLOW", "NONE")
        return
    verdict = snapshot.decide(case.caller, case.extension, case.outcall)
    assert (verdict.decision.name, verdict.stage.name) == (case.decision, case.stage), case
    number = snapshot.match(case.caller, case.extension, case.outcall)
    if verdict.decision is Decision.CHALLENGE:
        assert snapshot.opens(number, case.caller, case.passwords[override], [b"another key", SECRET])
    assert not snapshot.opens(number, case.caller, WRONG, [SECRET])


def test_there_are_conformance_cases() -> None:
    """The files are where the tests look for them."""
    assert sum(len(suite.cases) for suite in SUITES) == 2000


@pytest.mark.parametrize("override", PasswordOverride)
@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_the_oracle_answers_as_wazo_does(suite: ConformanceSuite, override: PasswordOverride) -> None:
    """What everything else is compared with is right itself."""
    for case in suite.cases:
        tenant = suite.tenant_of(case)
        if tenant is None:
            assert (case.decision, case.stage) == ("ALLOW", "NONE")
            continue
        expected = oracle.decide(tenant, case.caller, case.extension, case.outcall)
        assert (expected.decision.name, expected.stage.name) == (case.decision, case.stage), case
        if expected.decision is Decision.CHALLENGE:
            assert oracle.password(tenant, case.caller, expected, override) == case.passwords[override]


@pytest.mark.parametrize("override", PasswordOverride)
@pytest.mark.parametrize("limits", LIMITS, ids=repr)
@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_compiled_rules_answer_as_wazo_does(
    suite: ConformanceSuite, limits: Limits, override: PasswordOverride
) -> None:
    """Within every budget, down to none at all."""
    snapshots = {tenant.uuid: snapshot_of(tenant, override, limits) for tenant in suite.tenants}
    for case in suite.cases:
        tenant = suite.tenant_of(case)
        check(snapshots[tenant.uuid] if tenant else None, case, override)


def test_a_mapped_file_answers_as_wazo_does() -> None:
    """A blob may lie in a file: it is used there, without a copy."""
    suite = SUITES[0]
    with tempfile.TemporaryFile() as file:
        tenant = suite.tenants[0]
        file.write(Compiler(secret=SECRET).compile(tenant, Revision(1, "0" * 64), compiled_at=0.0))
        file.flush()
        snapshot = decode(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), secrets=[SECRET])
        for case in suite.cases:
            if suite.tenant_of(case) is tenant:
                check(snapshot, case, PasswordOverride.ALL)


def test_every_stage_and_decision_occurs() -> None:
    """The cases would not prove much if they all ended in the same place."""
    ends = {(case.decision, case.stage) for suite in SUITES for case in suite.cases}
    stages = [stage.name for stage in (Stage.USER, Stage.GROUP, Stage.OUTCALL)]
    assert ends >= {(decision.name, stage) for decision in Decision for stage in stages}
