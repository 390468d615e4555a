"""Random rules and calls: the oracle, compiled snapshots of every budget and explanations say the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import oracle
import strategies
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdp.rules.analysis.explain import CandidateResult, StageResult, explain
from pdp.rules.compiler.compiler import Compiler
from pdp.rules.model import CallPermission, Decision, PasswordOverride, Revision, Tenant, User
from pdp.rules.patterns.parser import parse
from pdp.rules.snapshot.snapshot import decode

if TYPE_CHECKING:
    from strategies import Call

    from pdp.rules.compiler.automata import Limits
    from pdp.rules.snapshot.snapshot import Snapshot

SECRET = b"a key of the deployment"
REVISION = Revision(1, "0" * 64)

slow = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])


def snapshot_of(
    tenant: Tenant, override: PasswordOverride = PasswordOverride.ALL, limits: Limits | None = None
) -> Snapshot:
    """The snapshot of a tenant, encoded and decoded."""
    compiler = Compiler(secret=SECRET, password_override=override, limits=limits)
    return decode(compiler.compile(tenant, REVISION, compiled_at=0.0), secrets=[SECRET])


def check(tenant: Tenant, snapshot: Snapshot, call: Call) -> None:
    """The snapshot answers as the oracle does."""
    expected = oracle.decide(tenant, *call)
    verdict = snapshot.decide(*call)
    permission = expected.permission
    assert verdict == (
        expected.decision,
        expected.stage,
        permission.id if permission else None,
        permission.name if permission else "",
    )
    if expected.decision is Decision.CHALLENGE:
        right = oracle.password(tenant, call.caller, expected, snapshot.password_override)
        number = snapshot.match(*call)
        assert {
            password: snapshot.opens(number, call.caller, password, [SECRET]) for password in ("4242", "1234", "*#")
        } == {password: password == right for password in ("4242", "1234", "*#")}


@slow
@given(
    strategies.tenants(), strategies.call_lists, st.sampled_from(strategies.LIMITS), st.sampled_from(PasswordOverride)
)
def test_compiled_rules_answer_as_the_oracle(
    tenant: Tenant, calls: list[Call], limits: Limits, override: PasswordOverride
) -> None:
    """Whatever the rules, the call and the budget."""
    snapshot = snapshot_of(tenant, override, limits)
    for call in calls:
        check(tenant, snapshot, call)


@slow
@given(strategies.histories(), strategies.call_lists, st.sampled_from(strategies.LIMITS))
def test_an_edited_tenant_compiles_to_the_same_answers(
    history: list[Tenant], calls: list[Call], limits: Limits
) -> None:
    """A compiler that remembers earlier states makes what one without memory makes."""
    compiler = Compiler(secret=SECRET, limits=limits)
    for tenant in history:
        snapshot = decode(compiler.compile(tenant, REVISION, compiled_at=0.0), secrets=[SECRET])
        fresh = snapshot_of(tenant, limits=limits)
        assert sorted(snapshot.callers()) == sorted(fresh.callers()) == sorted(user.uuid for user in tenant.users)
        assert snapshot.counts == fresh.counts
        for call in calls:
            check(tenant, snapshot, call)
            assert explain(snapshot, *call) == explain(fresh, *call)


@slow
@given(strategies.tenants(), strategies.call_lists)
def test_an_explanation_agrees_with_the_decision(tenant: Tenant, calls: list[Call]) -> None:
    """It is a second derivation, which does not walk the automata."""
    snapshot = snapshot_of(tenant)
    for call in calls:
        explanation = explain(snapshot, *call)
        assert explanation.verdict == snapshot.decide(*call)
        decided = [report for report in explanation.stages if report.result is StageResult.DECIDED]
        assert [report.stage for report in decided] == ([] if not decided else [explanation.verdict.stage])
        for report in explanation.stages:
            decisive = [c for c in report.candidates if c.result is CandidateResult.DECIDED]
            assert len(decisive) == (report.result is StageResult.DECIDED)
            assert all(candidate.reason for candidate in report.candidates)


@settings(deadline=None, max_examples=400)
@given(strategies.patterns, strategies.extensions)
def test_one_pattern_matches_as_its_regular_expression(text: str, extension: str) -> None:
    """By itself, as explanations match it."""
    rule = CallPermission(1, extensions=(text,), users=(strategies.USERS[0],))
    tenant = Tenant(strategies.TENANT, users=(User(strategies.USERS[0]),), call_permissions=(rule,))
    snapshot = snapshot_of(tenant)
    (number,) = snapshot.permission(snapshot.user_permissions(strategies.USERS[0])[0]).patterns
    assert snapshot.pattern(number) == text == parse(text).text
    assert snapshot.pattern_matches(number, extension) == bool(oracle.regex(text).fullmatch(extension))
