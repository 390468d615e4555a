"""Explanations where a tenant says how it dials: a second derivation of every decision, which shows the forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from dialling_cases import FILES, ReferenceReader, dialled_tenant, suite

from pdp.rules.analysis.explain import CandidateResult, explain
from pdp.rules.compiler.compiler import Compiler
from pdp.rules.model import Revision
from pdp.rules.snapshot.snapshot import Snapshot, decode

if TYPE_CHECKING:
    from pathlib import Path

ALICE = "2c34c282-433e-4bb8-8d56-fec14ff7e1e9"


def snapshot_of(raw: dict[str, Any]) -> Snapshot:
    """The snapshot of a tenant, which may say how it dials."""
    return decode(Compiler().compile(dialled_tenant(raw), Revision(1, "0" * 64), compiled_at=0.0))


def office(*extensions: str, line: str = "") -> Snapshot:
    """A French tenant with one deny of these extensions, on its only user."""
    return snapshot_of(
        {
            "uuid": "54eb71f8-1f4b-4ae4-8730-638062fbe521",
            "users": [{"uuid": ALICE}],
            "dialling": {"country": "FR", "outside_line": line},
            "call_permissions": [{"id": 1, "name": "premium", "extensions": list(extensions), "users": [ALICE]}],
        }
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_explanation_comes_to_the_decision(path: Path) -> None:
    """Of every case that permissions decide."""
    deciding, cases = suite(path, ReferenceReader)
    snapshots = {raw["uuid"]: snapshot_of(raw) for raw in deciding.tenants if deciding.is_sound(raw)}
    for case in cases:
        asker = (case.get("forwarded_by") or case["caller"]).lower()
        tenant = deciding.tenant_of(case.get("tenant", ""), asker, case["outcall"])
        if "stage" not in case["expected"] or tenant is None or tenant["uuid"] not in snapshots:
            continue
        snapshot = snapshots[tenant["uuid"]]
        verdict = snapshot.decide(asker, case["extension"], case["outcall"])
        assert explain(snapshot, asker, case["extension"], case["outcall"]).verdict == verdict, case


def test_the_form_that_matched_is_shown() -> None:
    """With the pattern that it matched, since what was dialled may look quite different."""
    explanation = explain(office("118", "_0899."), ALICE, "+33 (0)899 12 34 56", "")
    assert explanation.forms == ("0899123456",)
    assert explanation.summary == (
        "DENY: permission 1 (premium) matches 0899123456, a form of what was dialled, with _0899. in stage USER."
    )
    (candidate,) = explanation.stages[0].candidates
    assert (candidate.matched_patterns, candidate.matched_form) == (("_0899.",), "0899123456")


def test_a_form_that_is_spelled_out_is_shown_whole() -> None:
    """Without a mark."""
    explanation = explain(office("_0033899."), ALICE, "0899123456", "")
    assert explanation.forms == ("0899123456", "0033899123456")
    assert explanation.stages[0].candidates[0].matched_form == "0033899123456"


def test_the_closest_pattern_is_held_against_forms() -> None:
    """Not against the separators of what was dialled."""
    (candidate,) = explain(office("_0898.", "118"), ALICE, "+33 899 12 34 56", "").stages[0].candidates
    assert candidate.result is CandidateResult.NO_PATTERN_MATCHES
    assert candidate.reason == (
        "None of its patterns matches; the closest, _0898., fails at character 4 ('9'), where it accepts 8, "
        "of 0899123456."
    )


def test_of_two_readings_the_one_that_stands_is_explained() -> None:
    """And the other is mentioned."""
    explanation = explain(office("_00899.", line="0"), ALICE, "0899123456", "")
    assert explanation.forms == ("00899123456",)
    assert explanation.summary.endswith("What was dialled may be another number as well, which would be ALLOW.")
    assert "another number" not in explain(office("_00899.", line="0"), ALICE, "00899123456", "").summary


def test_without_dialling_there_are_no_forms() -> None:
    """The extension is matched as it is, and said so."""
    plain = snapshot_of(
        {
            "uuid": "54eb71f8-1f4b-4ae4-8730-638062fbe521",
            "users": [{"uuid": ALICE}],
            "call_permissions": [{"id": 1, "extensions": ["_0899."], "users": [ALICE]}],
        }
    )
    explanation = explain(plain, ALICE, "0899123456", "")
    assert explanation.forms == ()
    assert explanation.summary == "DENY: permission 1 matches the extension with _0899. in stage USER."
    assert explanation.stages[0].candidates[0].matched_form == "0899123456"
