"""Every case of ``tests/cases/dialling`` that permissions decide, by compiled snapshots, in every budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from dialling_cases import FILES, ReferenceReader, dialled_tenant, suite
from strategies import LIMITS

from pdp.rules.compiler.compiler import Compiler
from pdp.rules.compiler.digest import content_digest
from pdp.rules.dialling import Undiallable
from pdp.rules.model import Call, CallPermission, Mode, PasswordOverride, Revision, Tenant
from pdp.rules.snapshot.ruling import rule
from pdp.rules.snapshot.snapshot import Snapshot, decode

if TYPE_CHECKING:
    from pathlib import Path

    from dialling_deciding import Suite

    from pdp.rules.compiler.automata import Limits

STAGES = ("USER", "GROUP", "OUTCALL", "NONE")
CALLER = "2c34c282-433e-4bb8-8d56-fec14ff7e1e9"


def compiled(raw: dict[str, Any], limits: Limits) -> Snapshot:
    """The snapshot of a tenant of the cases."""
    return decode(Compiler(limits=limits).compile(dialled_tenant(raw), Revision(1, "0" * 64), compiled_at=0.0))


@pytest.mark.parametrize("limits", LIMITS, ids=repr)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_compiled_rules_decide_as_expected(path: Path, limits: Limits) -> None:
    """By all forms of what was dialled, and by both readings."""
    deciding, cases = suite(path, ReferenceReader)
    snapshots: dict[str, Snapshot] = {}
    for case in cases:
        expected = case["expected"]
        tenant = _of(deciding, case)
        if tenant is None or expected.get("stage") not in STAGES or deciding.options.get("isolate_faults"):
            continue
        snapshot = snapshots.get(tenant["uuid"])
        if snapshot is None:
            snapshot = snapshots[tenant["uuid"]] = compiled(tenant, limits)
        call = Call(
            case["caller"].lower(), case["extension"], case["outcall"], "", case.get("forwarded_by", "").lower()
        )
        outcome = rule(snapshot, call)
        got = (outcome.verdict.decision.name, outcome.verdict.stage.name, outcome.reason.name)
        assert got == (expected["decision"], expected["stage"], expected["reason"]), case
    assert snapshots or path.stem == "dialling-08"


def _of(deciding: Suite, case: dict[str, Any]) -> dict[str, Any] | None:
    asker = (case.get("forwarded_by") or case["caller"]).lower()
    return deciding.tenant_of(case.get("tenant", ""), asker, case["outcall"])


def snapshot_of(*permissions: CallPermission, country: str = "FR", line: str = "") -> Snapshot:
    """The snapshot of a tenant with these permissions of one caller and one outcall."""
    raw: dict[str, Any] = {
        "uuid": "54eb71f8-1f4b-4ae4-8730-638062fbe521",
        "users": [{"uuid": CALLER}],
        "outcalls": [{"id": "1"}],
        "dialling": {"country": country, "outside_line": line},
    }
    tenant = dialled_tenant(raw)
    tenant = Tenant(tenant.uuid, "", tenant.users, (), tenant.outcalls, permissions, dialling=tenant.dialling)
    return decode(Compiler().compile(tenant, Revision(1, "0" * 64), compiled_at=0.0))


def permission(number: int, *extensions: str, mode: Mode = Mode.DENY, outcall: bool = False) -> CallPermission:
    """A permission of the caller, or of the outcall."""
    return CallPermission(
        number,
        f"p{number}",
        mode,
        extensions=extensions,
        users=() if outcall else (CALLER,),
        outcalls=("1",) if outcall else (),
    )


def decided(snapshot: Snapshot, extension: str) -> str:
    """The decision, and the permission that decided."""
    verdict = snapshot.decide(CALLER, extension, "1")
    return f"{verdict.decision.name} {verdict.permission_name}".strip()


def test_the_permission_that_prevails_over_all_forms_decides() -> None:
    """Whichever form it matches, and not the one that matches the first form."""
    snapshot = snapshot_of(permission(7, "_00[1-9]."), permission(3, "_+44.", mode=Mode.ALLOW), permission(9, "_+4."))
    assert decided(snapshot, "0044 20 7946 0958") == "ALLOW p3"
    assert decided(snapshot, "+4930123456") == "DENY p9"
    assert decided(snapshot, "+15551234567") == "DENY p7"


def test_an_outcall_is_asked_only_when_no_form_is_decided_before() -> None:
    """Each form through all stages would ask it too early."""
    snapshot = snapshot_of(permission(1, "_00[1-9]."), permission(2, "_+.", mode=Mode.ALLOW, outcall=True))
    assert decided(snapshot, "+442079460958") == "DENY p1"
    assert decided(snapshot_of(permission(2, "_+.", outcall=True)), "00442079460958") == "DENY p2"


def test_of_two_readings_the_stricter_decision_stands() -> None:
    """Whichever is the first."""
    number = "0899123456"
    assert decided(snapshot_of(permission(1, "_00899."), line="0"), number) == "DENY p1"
    assert decided(snapshot_of(permission(1, "_0899."), line="0"), number) == "DENY p1"
    both = snapshot_of(permission(1, "_00899."), permission(2, "_0899.", mode=Mode.ALLOW), line="0")
    assert decided(both, number) == "DENY p1"
    allowed = snapshot_of(permission(1, "_00899.", mode=Mode.ALLOW), permission(2, "_0899.", mode=Mode.ALLOW), line="0")
    assert decided(allowed, number) == "ALLOW p2"


def test_marked_forms_are_matched_by_patterns_that_spell_them_out() -> None:
    """And by no other, be it a deny of everything behind 00."""
    assert decided(snapshot_of(permission(1, "_0033899.")), "0899123456") == "DENY p1"
    assert decided(snapshot_of(permission(1, "_00.")), "0899123456") == "ALLOW"
    assert decided(snapshot_of(permission(1, "_0[0]33899.")), "0899123456") == "ALLOW"
    assert decided(snapshot_of(permission(1, "_+33.", "_00.")), "01 23 45 67 89") == "DENY p1"


def test_what_cannot_be_dialled_is_raised() -> None:
    """It is for the services to reject."""
    snapshot = snapshot_of(permission(1, "_!"))
    with pytest.raises(Undiallable):
        snapshot.match(CALLER, "0612345678@evil.example", "1")


def test_how_a_tenant_dials_is_content() -> None:
    """Another table is another digest, and a tenant without one has its old digest."""
    raw: dict[str, Any] = {"uuid": "54eb71f8-1f4b-4ae4-8730-638062fbe521"}
    ways: list[dict[str, Any]] = [{}, {"dialling": {}}]
    ways += [{"dialling": {"country": country}} for country in ("FR", "DE")]
    digests = {
        content_digest(dialled_tenant(raw | how), secret=None, password_override=PasswordOverride.ALL) for how in ways
    }
    assert len(digests) == 4


def test_an_edit_of_how_a_tenant_dials_is_compiled() -> None:
    """Patterns get marks, lose them, and the width of rows follows."""
    compiler = Compiler()
    steps: list[tuple[dict[str, Any], tuple[str, ...], str]] = [
        ({}, ("_00.",), "ALLOW"),
        ({"dialling": {"country": "FR"}}, ("_00.",), "ALLOW"),
        ({"dialling": {"country": "FR"}}, ("_00.", "_+33."), "DENY p1"),
        ({"dialling": {"country": "DE"}}, ("_00.", "_+33."), "ALLOW"),
        ({"dialling": {"country": "FR"}}, ("_0033[2-9].",), "ALLOW"),
        ({"dialling": {"country": "FR"}}, ("_0033[1-9].",), "DENY p1"),
        ({}, ("_0033[1-9].",), "ALLOW"),
    ]
    for number, (how, extensions, expected) in enumerate(steps, 1):
        raw = {"uuid": "54eb71f8-1f4b-4ae4-8730-638062fbe521", "users": [{"uuid": CALLER}], **how}
        tenant = dialled_tenant(raw)
        tenant = Tenant(
            tenant.uuid, "", tenant.users, call_permissions=(permission(1, *extensions),), dialling=tenant.dialling
        )
        snapshot = decode(compiler.compile(tenant, Revision(number, "0" * 64), compiled_at=0.0))
        assert decided(snapshot, "0123456789") == expected, number
