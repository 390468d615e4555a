"""What the services answer, asked of a live server where the transport could matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest
from definitions import tenant_from
from server import DEADLINE, current_of, running_server, snapshot_of

from pdp.errors import InvalidCall
from pdp.metrics.registry import Metrics
from pdp.services.decisions import MAX_CALLS, DecisionService
from pdp.snapshots.current import CurrentSnapshots
from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server import Running

    from pdp.rules.model import Decision, Stage
    from pdp.transports.choice import Transport

pytestmark = pytest.mark.every_transport

ACME = "54eb71f8-1f4b-4ae4-8730-638062fbe521"
BOLT = "9f6a2f0e-7c1b-4d53-8a53-0d1f5a1f7b11"
ALICE = "2c34c282-433e-4bb8-8d56-fec14ff7e1e9"
BOB = "5a1d3f5c-9f0b-4a7e-8c1d-2b3c4d5e6f70"

ACME_TENANT = tenant_from(
    {
        "uuid": ACME,
        "name": "acme",
        "users": [{"uuid": ALICE}],
        "groups": [{"id": "7", "name": "sales", "users": [ALICE]}],
        "outcalls": [{"id": "3", "name": "world"}],
        "call_permissions": [
            {"id": 1, "name": "emergency", "mode": "allow", "extensions": ["112"], "users": [ALICE]},
            {"id": 2, "name": "premium", "extensions": ["_09."], "groups": ["7"]},
            {"id": 3, "name": "international", "password": "1234", "extensions": ["_00."], "outcalls": ["3"]},
            {"id": 4, "name": "old", "enabled": False, "extensions": ["_00."], "users": [ALICE]},
        ],
    }
)
BOLT_TENANT = tenant_from(
    {
        "uuid": BOLT,
        "name": "bolt",
        "users": [{"uuid": BOB}],
        "outcalls": [{"id": "3"}, {"id": "9"}],
        "call_permissions": [{"id": 1, "name": "none", "extensions": ["_!"], "users": [BOB], "outcalls": ["9"]}],
    }
)
FAULTY_EXTENSIONS = {
    "": "send what was dialled",
    "1" * 129: "at most 128",
    "12\n": "U+000A",
    "\x00": "U+0000",
    "1\u200e2": "U+200E",
    "1\u2028": "U+2028",
}


@pytest.fixture(scope="module")
def running(tested_transport: Transport) -> Iterator[Running]:
    """A server that answers for both tenants."""
    with running_server(ACME_TENANT, BOLT_TENANT, transport=tested_transport) as it:
        yield it


def check(
    running: Running, extension: str, *, caller: str = "", outcall: str = "", tenant: str = ""
) -> v1.CheckCallResponse:
    """One CheckCall."""
    request = v1.CheckCallRequest(caller=caller, extension=extension, outcall=outcall, tenant=tenant)
    return running.decisions.CheckCall(request, timeout=DEADLINE)


def status(refused: pytest.ExceptionInfo[grpc.RpcError]) -> grpc.StatusCode:
    """The status that a call ended with."""
    return refused.value.code()


def details(refused: pytest.ExceptionInfo[grpc.RpcError]) -> str:
    """The message of that status."""
    return refused.value.details() or ""


@pytest.mark.parametrize(
    ("extension", "decision", "stage", "permission"),
    [
        ("112", v1.Decision.DECISION_ALLOW, v1.Stage.STAGE_USER, ("1", "emergency")),
        ("0900", v1.Decision.DECISION_DENY, v1.Stage.STAGE_GROUP, ("2", "premium")),
        ("0033", v1.Decision.DECISION_CHALLENGE, v1.Stage.STAGE_OUTCALL, ("3", "international")),
    ],
)
def test_an_answer_names_what_decided(
    running: Running, extension: str, decision: int, stage: int, permission: tuple[str, str]
) -> None:
    """Decision, stage, permission and revision are those of the rules."""
    answer = check(running, extension, caller=ALICE, outcall="3")

    assert (answer.decision, answer.stage) == (decision, stage)
    assert (answer.permission.id, answer.permission.name) == permission
    assert answer.revision == "1-abababababab"


def test_without_a_match_the_call_is_allowed_and_no_permission_named(running: Running) -> None:
    """The stage NONE has no permission, but the revision that had nothing to say."""
    answer = check(running, "118", caller=ALICE, outcall="3")

    assert (answer.decision, answer.stage) == (v1.Decision.DECISION_ALLOW, v1.Stage.STAGE_NONE)
    assert not answer.HasField("permission")
    assert answer.revision == "1-abababababab"


def test_a_call_that_belongs_to_no_tenant_is_allowed_without_a_revision(running: Running) -> None:
    """Nobody knows the caller, and there is no outcall."""
    answer = check(running, "0033", caller="7e57ab1e-0000-4000-8000-000000000000")

    assert answer == v1.CheckCallResponse(
        decision=v1.Decision.DECISION_ALLOW, stage=v1.Stage.STAGE_NONE, reason=v1.Reason.REASON_NO_PERMISSION
    )


def test_uuids_mean_the_same_in_either_case(running: Running) -> None:
    """Callers and tenants."""
    answer = check(running, "0900", caller=ALICE.upper(), tenant=ACME.upper())

    assert answer.permission.name == "premium"


@pytest.mark.parametrize(("extension", "remedy"), FAULTY_EXTENSIONS.items(), ids=ascii)
def test_a_faulty_extension_is_an_invalid_argument(running: Running, extension: str, remedy: str) -> None:
    """Empty, over-long and unprintable ones, for one call, many and explained; the message says what to send."""
    call = v1.CheckCallRequest(caller=ALICE, extension=extension)
    good = v1.CheckCallRequest(caller=ALICE, extension="112")
    with pytest.raises(grpc.RpcError) as refused:
        running.decisions.CheckCall(call, timeout=DEADLINE)
    with pytest.raises(grpc.RpcError) as unexplained:
        running.decisions.ExplainCall(v1.ExplainCallRequest(call=call), timeout=DEADLINE)
    many = running.decisions.CheckCalls(v1.CheckCallsRequest(calls=[good, call, good]), timeout=DEADLINE)

    assert status(refused) == status(unexplained) == grpc.StatusCode.INVALID_ARGUMENT
    assert remedy in details(refused)
    assert [answer.WhichOneof("result") for answer in many.answers] == ["response", "error", "response"]
    assert (many.answers[1].error.code, many.answers[1].error.message) == (3, details(refused))


@pytest.mark.parametrize("extension", ["0", " ", "é", "11-2", "+33 1", "9" * 128, "😀"])
def test_a_printable_extension_gets_an_answer(running: Running, extension: str) -> None:
    """Whatever its characters are."""
    assert check(running, extension, caller=BOB).decision == v1.Decision.DECISION_DENY


def test_a_tenant_that_nobody_knows_is_not_found(running: Running) -> None:
    """Decisions and status alike."""
    with pytest.raises(grpc.RpcError) as undecided:
        check(running, "112", tenant=BOB)
    with pytest.raises(grpc.RpcError) as unreported:
        running.directory.GetStatus(v1.GetStatusRequest(tenant=BOB), timeout=DEADLINE)

    assert status(undecided) == status(unreported) == grpc.StatusCode.NOT_FOUND
    assert "send its UUID" in details(undecided)


def test_a_caller_of_another_tenant_is_a_stranger(running: Running) -> None:
    """Its own permissions do not follow it into a tenant that was named; the outcall's of that tenant apply."""
    alone = check(running, "0900", caller=BOB, tenant=ACME)
    through = check(running, "0033", caller=BOB, outcall="3", tenant=ACME)

    assert (alone.decision, alone.stage) == (v1.Decision.DECISION_ALLOW, v1.Stage.STAGE_NONE)
    assert (through.decision, through.stage) == (v1.Decision.DECISION_CHALLENGE, v1.Stage.STAGE_OUTCALL)


def test_without_caller_and_tenant_the_outcall_tells_the_tenant(running: Running) -> None:
    """Unless more than one tenant has it."""
    with pytest.raises(grpc.RpcError) as ambiguous:
        check(running, "0033", outcall="3")

    assert check(running, "0033", outcall="9").permission.name == "none"
    assert status(ambiguous) is grpc.StatusCode.INVALID_ARGUMENT
    assert "name the tenant" in details(ambiguous)


def test_without_any_rules_nothing_is_decided() -> None:
    """UNAVAILABLE, since without rules every call would be allowed; the status can be asked for."""
    current = CurrentSnapshots("a place")
    current.source_error = "it is not there"
    current.contacted_at -= 50
    current.unread_seconds = lambda: 30.0
    with running_server(current=current) as running:
        with pytest.raises(grpc.RpcError) as refused:
            check(running, "112")
        many = running.decisions.CheckCalls(
            v1.CheckCallsRequest(calls=[v1.CheckCallRequest(extension="1")]), timeout=DEADLINE
        )
        report = running.directory.GetStatus(v1.GetStatusRequest(), timeout=DEADLINE)

    assert status(refused) is grpc.StatusCode.UNAVAILABLE
    assert many.answers[0].error.code == grpc.StatusCode.UNAVAILABLE.value[0]
    assert (list(report.tenants), report.source, report.source_error) == ([], "a place", "it is not there")
    assert report.contacted_at.seconds == int(current.contacted_at)
    assert report.staleness_seconds >= 50


def test_many_calls_are_answered_up_to_the_limit(running: Running) -> None:
    """A thousand are; one more is refused."""
    call = v1.CheckCallRequest(caller=BOB, extension="1")
    full = running.decisions.CheckCalls(v1.CheckCallsRequest(calls=[call] * MAX_CALLS), timeout=DEADLINE)
    with pytest.raises(grpc.RpcError) as refused:
        running.decisions.CheckCalls(v1.CheckCallsRequest(calls=[call] * (MAX_CALLS + 1)), timeout=DEADLINE)

    assert [answer.response.decision for answer in full.answers] == [v1.Decision.DECISION_DENY] * MAX_CALLS
    assert status(refused) is grpc.StatusCode.INVALID_ARGUMENT


def test_no_calls_get_no_answers(running: Running) -> None:
    """An empty question is no fault."""
    assert not running.decisions.CheckCalls(v1.CheckCallsRequest(), timeout=DEADLINE).answers


class Restless(Metrics):
    """Has another revision of one tenant come, and the other tenant come or go, at each decision."""

    def __init__(self, current: CurrentSnapshots) -> None:
        super().__init__(current, "")
        self._snapshots = current

    def decided(self, decision: Decision, stage: Stage, seconds: float) -> None:
        """Counts, and turns the world upside down."""
        super().decided(decision, stage, seconds)
        held = self._snapshots.get(ACME)
        assert held is not None
        self._snapshots.replace(snapshot_of(ACME_TENANT, number=held.snapshot.revision.number + 1))
        if self._snapshots.get(BOLT):
            self._snapshots.remove(BOLT)
        else:
            self._snapshots.replace(snapshot_of(BOLT_TENANT, number=7))


@pytest.mark.parametrize("bolt_is_there", [True, False])
def test_many_calls_are_decided_by_one_moment(bolt_is_there: bool) -> None:  # noqa: FBT001 - one case or the other
    """Even when new rules, and whole tenants, come and go in between: none is decided as if nobody knew its caller."""
    current = current_of(ACME_TENANT, *([snapshot_of(BOLT_TENANT, number=7)] if bolt_is_there else []))
    service = DecisionService(current, Restless(current))
    calls = [v1.CheckCallRequest(caller=caller, extension="0900") for caller in (ALICE, BOB) * 3]

    answers = service.check_calls(v1.CheckCallsRequest(calls=calls)).answers

    revisions = [answer.response.revision.partition("-")[0] for answer in answers]
    assert revisions == ["1", "7" if bolt_is_there else ""] * 3


def test_an_explanation_tells_the_whole_derivation(running: Running) -> None:
    """Stages, candidates, patterns, reasons, and the answer that CheckCall gives."""
    call = v1.CheckCallRequest(caller=ALICE, extension="0033", outcall="3")

    told = running.decisions.ExplainCall(v1.ExplainCallRequest(call=call), timeout=DEADLINE)

    assert told.answer == running.decisions.CheckCall(call, timeout=DEADLINE)
    assert (told.tenant, told.caller_known, told.outcall_known) == (ACME, True, True)
    assert [stage.stage for stage in told.stages] == [v1.Stage.STAGE_USER, v1.Stage.STAGE_GROUP, v1.Stage.STAGE_OUTCALL]
    assert [stage.result for stage in told.stages] == [
        v1.StageResult.STAGE_RESULT_NO_MATCH,
        v1.StageResult.STAGE_RESULT_NO_MATCH,
        v1.StageResult.STAGE_RESULT_DECIDED,
    ]
    disabled = next(one for one in told.stages[0].candidates if one.permission.name == "old")
    assert (disabled.result, list(disabled.matched_patterns)) == (
        v1.CandidateResult.CANDIDATE_RESULT_DISABLED,
        ["_00."],
    )
    (grouped,) = told.stages[1].candidates
    assert (grouped.group_id, grouped.group_name, grouped.mode) == ("7", "sales", v1.Mode.MODE_DENY)
    (decisive,) = told.stages[2].candidates
    assert (decisive.result, decisive.has_password) == (v1.CandidateResult.CANDIDATE_RESULT_DECIDED, True)
    assert all(stage.reason for stage in told.stages)
    assert told.summary.startswith("CHALLENGE")


def test_an_explanation_of_a_call_that_belongs_to_no_tenant_says_so(running: Running) -> None:
    """There are no stages to tell of."""
    call = v1.CheckCallRequest(extension="0033")

    told = running.decisions.ExplainCall(v1.ExplainCallRequest(call=call), timeout=DEADLINE)

    assert (told.tenant, len(told.stages)) == ("", 0)
    assert "no tenant" in told.summary


def test_the_status_tells_what_is_held(running: Running) -> None:
    """Every tenant in order, with revision, times and counts."""
    report = running.directory.GetStatus(v1.GetStatusRequest(), timeout=DEADLINE)

    assert [tenant.tenant for tenant in report.tenants] == [ACME, BOLT]
    acme = report.tenants[0]
    assert (acme.name, acme.revision, acme.number) == ("acme", "1-abababababab", 1)
    assert (acme.users, acme.groups, acme.outcalls, acme.permissions) == (1, 1, 1, 4)
    assert acme.patterns > 0
    assert acme.bytes > 0
    assert acme.compiled_at.ToSeconds() == 1_500_000_000
    assert acme.loaded_at.ToSeconds() > acme.compiled_at.ToSeconds()
    assert acme.loaded_from == "definitions"
    assert report.version
    assert report.source == "rules of a test"


def test_the_status_can_be_asked_for_one_tenant(running: Running) -> None:
    """By its UUID in either case."""
    report = running.directory.GetStatus(v1.GetStatusRequest(tenant=BOLT.upper()), timeout=DEADLINE)

    assert [tenant.tenant for tenant in report.tenants] == [BOLT]


def test_each_decision_is_counted_once_and_an_explanation_is_not() -> None:
    """Alone or among many; what has no answer is no decision."""
    current = current_of(ACME_TENANT)
    metrics = Metrics(current, "")
    service = DecisionService(current, metrics)
    call = v1.CheckCallRequest(caller=ALICE, extension="0900")
    faulty = v1.CheckCallRequest(caller=ALICE)

    service.check_call(call)
    service.check_calls(v1.CheckCallsRequest(calls=[call, faulty, call]))
    service.explain_call(v1.ExplainCallRequest(call=call))
    with pytest.raises(InvalidCall):
        service.check_call(faulty)

    labels = {"decision": "deny", "stage": "group"}
    assert metrics.registry.get_sample_value("rightcall_decisions_total", labels) == 3
    assert metrics.registry.get_sample_value("rightcall_check_duration_seconds_count") == 3
