"""Candidates: decisions are compared with theirs, counted and sampled, over each transport; none depends on them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from fleets import fleet_over
from given import ACME, ALICE, KEY, denying
from server import Running, running_server, snapshot_of
from structlog.testing import capture_logs
from waiting import until

from loader.publishing.revisions import UnknownRevision
from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis_server import RedisServer

    from pdp.metrics.registry import Metrics

pytestmark = pytest.mark.every_transport


@pytest.fixture
def served() -> Iterator[Running]:
    """A server whose tenant denies 118, and whose candidate denies 117 and challenges 116."""
    candidate = denying("117")
    pin = replace(candidate.call_permissions[0], id=7, password="4711", extensions=("116",))
    candidate = replace(candidate, call_permissions=(*candidate.call_permissions, pin))
    with running_server(replace(denying("118"), emergency=("112",))) as running:
        running.current.set_candidate(ACME, snapshot_of(candidate, number=9, secret=KEY))
        yield running


def dial(running: Running, extension: str, caller: str = ALICE) -> v1.CheckCallResponse:
    """The response to a call."""
    return running.decisions.CheckCall(v1.CheckCallRequest(caller=caller, extension=extension))


def counted(metrics: Metrics) -> dict[tuple[str, str], int]:
    """How often which decision was compared with which."""
    families = metrics.registry.collect()
    samples = [one for family in families for one in family.samples if one.name == "rightcall_shadow_decisions_total"]
    assert all(sample.labels["tenant"] == ACME for sample in samples)
    return {(one.labels["decision"], one.labels["candidate"]): int(one.value) for one in samples}


def test_decisions_are_counted_beside_those_of_the_candidate(served: Running) -> None:
    """One call, many and a stream; a challenge is a decision of its own; what is not ASCII is compared as well."""
    for extension in ("118", "117", "116", "115"):
        dial(served, extension)
    call = v1.CheckCallRequest(caller=ALICE, extension="118")
    served.decisions.CheckCalls(v1.CheckCallsRequest(calls=[call, call]))
    list(served.decisions.StreamCheckCalls(iter([v1.StreamCheckCallsRequest(id="1", call=call)])))
    dial(served, "caf\N{LATIN SMALL LETTER E WITH ACUTE}")
    assert counted(served.metrics) == {
        ("deny", "allow"): 4,
        ("allow", "deny"): 1,
        ("allow", "challenge"): 1,
        ("allow", "allow"): 2,
    }
    assert served.metrics.registry.get_sample_value("rightcall_shadow_revision", {"tenant": ACME}) == 9


def test_responses_are_those_without_a_candidate(served: Running) -> None:
    """Decision, revision and reason are the current revision's."""
    compared = [dial(served, extension) for extension in ("118", "117", "116", "112")]
    served.current.set_candidate(ACME, None)
    assert [dial(served, extension) for extension in ("118", "117", "116", "112")] == compared
    assert sum(counted(served.metrics).values()) == 4


def test_an_emergency_number_is_allowed_by_both(served: Running) -> None:
    """The server's own numbers need no candidate; one that a candidate's list lacks is decided by its permissions."""
    strict = replace(denying("112"), emergency=("112",))
    served.current.set_candidate(ACME, snapshot_of(strict))
    dial(served, "112")
    served.current.set_candidate(ACME, snapshot_of(denying("112")))
    dial(served, "112")
    assert counted(served.metrics) == {("allow", "allow"): 1, ("allow", "deny"): 1}


def test_differences_are_logged_and_bounded(served: Running) -> None:
    """With caller, extension and both permissions; never more than some in a second, and no PIN in any."""
    with capture_logs() as logs:
        dial(served, "116")
        until(lambda: bool(logs), "it is logged")
        for _ in range(100):
            dial(served, "117")
        until(lambda: len(logs) > 1, "more are logged")
    first = next(one for one in logs if one["event"] == "candidate_differs")
    expected = {"caller": ALICE, "extension": "116", "permission": None, "candidate_permission": 7, "decision": "allow"}
    assert {name: first[name] for name in expected} == expected
    assert first["candidate_decision"] == "challenge"
    assert first["candidate_revision"].startswith("9-")
    assert len(logs) < 80
    assert "4711" not in str(logs)


def test_a_candidate_that_cannot_decide_a_call_is_counted_as_none(served: Running) -> None:
    """A closed one, say; the call is decided all the same."""
    served.current.set_candidate(ACME, snapshot_of(replace(denying("118"), closed=3)))
    assert dial(served, "118").decision == v1.Decision.DECISION_DENY
    assert counted(served.metrics) == {("deny", "none"): 1}


def test_a_candidate_goes_from_definitions_to_current(redis: RedisServer) -> None:
    """Loaded beside the current rules, followed, kept through publications, and promoted and pinned."""
    with fleet_over(redis) as fleet, running_server(current=fleet.current) as running:
        proposed = fleet.propose(denying("117"))
        until(lambda: fleet.candidate == proposed, "the server compares")
        for extensions in (["118", "1"], ["118", "2"], ["118", "3"]):
            fleet.publish(*extensions)
        until(lambda: dial(running, "3").decision == v1.Decision.DECISION_DENY, "the server has followed the edits")
        assert dial(running, "117").decision == v1.Decision.DECISION_ALLOW
        assert counted(running.metrics)["allow", "deny"] >= 1
        assert fleet.candidate == proposed
        assert str(fleet.revisions.promote(ACME).revision) == proposed
        until(lambda: dial(running, "117").decision == v1.Decision.DECISION_DENY, "the candidate decides")
        until(lambda: not fleet.candidate, "the comparison has ended")
        (now,) = fleet.revisions.current()
        assert (str(now.revision), now.pinned) == (proposed, True)
        with pytest.raises(UnknownRevision, match="no candidate"):
            fleet.revisions.promote(ACME)
