"""The services as plain classes: a request message in, a response message out, or a ``CallError``.

They know no transport. A call reads its snapshot once and is counted once, here.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from pdp.decision import decide
from pdp.errors import CallError, InvalidCall
from pdp.explain import UNKNOWN_TENANT, CandidateResult, StageResult, explain
from pdp.rules.model import MAX_EXTENSION_LENGTH, Decision, Mode, Stage
from pdp.rules.verdict import UNRESTRICTED
from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message

    from pdp.current import CurrentSnapshots
    from pdp.directory import DirectoryService
    from pdp.explain import CandidateReport, Explanation, StageReport
    from pdp.metrics import Metrics
    from pdp.rules.snapshot import Snapshot
    from pdp.rules.verdict import Verdict

MAX_CALLS = 1000
"""Questions that one CheckCalls may hold."""

# From the core's terms to the API's. Going by name, a term that one of the two lacks fails here, at once.
_DECISIONS = {decision: v1.Decision.Value(f"DECISION_{decision.name}") for decision in Decision}
_STAGES = {stage: v1.Stage.Value(f"STAGE_{stage.name}") for stage in Stage}
_MODES = {mode: v1.Mode.Value(f"MODE_{mode.name}") for mode in Mode}
_STAGE_RESULTS = {result: v1.StageResult.Value(f"STAGE_RESULT_{result.name}") for result in StageResult}
_CANDIDATE_RESULTS = {result: v1.CandidateResult.Value(f"CANDIDATE_RESULT_{result.name}") for result in CandidateResult}


class Method(NamedTuple):
    """A method of the API, for whichever transport serves it.

    Attributes:
        service: the service's full name.
        name: the method's.
        request: the message that it takes.
        answer: makes the response, or raises ``CallError``.
    """

    service: str
    name: str
    request: type[Message]
    answer: Callable[[Any], Message]


class DecisionService:
    """Answers ``rightcall.v1.DecisionService``.

    Args:
        current: what it answers from.
        metrics: where each decision is counted.
    """

    def __init__(self, current: CurrentSnapshots, metrics: Metrics) -> None:
        self._resolve = current.resolve
        self._decided = metrics.decided

    def check_call(self, request: v1.CheckCallRequest) -> v1.CheckCallResponse:
        """One call, one decision.

        Raises:
            CallError: the question has no answer.
        """
        started = perf_counter()
        check_extension(request.extension)
        snapshot = self._resolve(request.caller, request.outcall, request.tenant)
        return self._answer(snapshot, request, started)

    def check_calls(self, request: v1.CheckCallsRequest) -> v1.CheckCallsResponse:
        """Many decisions, in the order of the questions; all those of a tenant by the same revision.

        Raises:
            InvalidCall: there are too many questions. What is wrong with one of them is its answer.
        """
        if len(request.calls) > MAX_CALLS:
            raise InvalidCall(f"{len(request.calls)} calls are more than {MAX_CALLS}; send them in more requests")
        revisions: dict[str, Snapshot] = {}
        return v1.CheckCallsResponse(answers=[self._one_of_many(call, revisions) for call in request.calls])

    def explain_call(self, request: v1.ExplainCallRequest) -> v1.ExplainCallResponse:
        """The derivation of a decision; not counted as one.

        Raises:
            CallError: the question has no answer.
        """
        call = request.call
        check_extension(call.extension)
        snapshot = self._resolve(call.caller, call.outcall, call.tenant)
        if snapshot is None:
            return _explanation(None, UNKNOWN_TENANT)
        return _explanation(snapshot, explain(snapshot, call.caller, call.extension, call.outcall))

    def _one_of_many(self, call: v1.CheckCallRequest, revisions: dict[str, Snapshot]) -> v1.CheckCallsAnswer:
        started = perf_counter()
        try:
            check_extension(call.extension)
            snapshot = self._resolve(call.caller, call.outcall, call.tenant)
        except CallError as error:
            return v1.CheckCallsAnswer(error=v1.CheckCallError(code=error.code, message=error.message))
        if snapshot is not None:
            snapshot = revisions.setdefault(snapshot.tenant, snapshot)
        return v1.CheckCallsAnswer(response=self._answer(snapshot, call, started))

    def _answer(self, snapshot: Snapshot | None, call: v1.CheckCallRequest, started: float) -> v1.CheckCallResponse:
        verdict = decide(snapshot, call.caller, call.extension, call.outcall) if snapshot is not None else UNRESTRICTED
        response = _response(snapshot, verdict)
        self._decided(verdict.decision, verdict.stage, perf_counter() - started)
        return response


def methods(decisions: DecisionService, directory: DirectoryService) -> tuple[Method, ...]:
    """Everything that the two services answer."""
    decision_service = v1.decision_pb2.DESCRIPTOR.services_by_name["DecisionService"].full_name
    directory_service = v1.directory_pb2.DESCRIPTOR.services_by_name["DirectoryService"].full_name
    return (
        Method(decision_service, "CheckCall", v1.CheckCallRequest, decisions.check_call),
        Method(decision_service, "CheckCalls", v1.CheckCallsRequest, decisions.check_calls),
        Method(decision_service, "ExplainCall", v1.ExplainCallRequest, decisions.explain_call),
        Method(directory_service, "GetStatus", v1.GetStatusRequest, directory.get_status),
    )


def check_extension(extension: str) -> None:
    """Refuses what nobody can have dialled.

    Raises:
        InvalidCall: the extension is empty, too long or unprintable.
    """
    if 0 < len(extension) <= MAX_EXTENSION_LENGTH and extension.isprintable():
        return
    if not extension:
        raise InvalidCall("the extension is empty; send what was dialled")
    if len(extension) > MAX_EXTENSION_LENGTH:
        raise InvalidCall(
            f"the extension has {len(extension)} characters; send what was dialled, at most {MAX_EXTENSION_LENGTH}"
        )
    position, found = next((at, char) for at, char in enumerate(extension, 1) if not char.isprintable())
    raise InvalidCall(
        f"character {position} of the extension is unprintable (U+{ord(found):04X}); send what was dialled without it"
    )


def _response(snapshot: Snapshot | None, verdict: Verdict) -> v1.CheckCallResponse:
    revision = str(snapshot.revision) if snapshot is not None else ""
    decision, stage, permission, name = verdict
    if permission is None:
        return v1.CheckCallResponse(decision=_DECISIONS[decision], stage=_STAGES[stage], revision=revision)
    return v1.CheckCallResponse(
        decision=_DECISIONS[decision],
        stage=_STAGES[stage],
        permission=v1.Permission(id=str(permission), name=name),
        revision=revision,
    )


def _explanation(snapshot: Snapshot | None, explanation: Explanation) -> v1.ExplainCallResponse:
    return v1.ExplainCallResponse(
        answer=_response(snapshot, explanation.verdict),
        tenant=snapshot.tenant if snapshot is not None else "",
        caller_known=explanation.caller_known,
        outcall_known=explanation.outcall_known,
        stages=[_stage(report) for report in explanation.stages],
        summary=explanation.summary,
    )


def _stage(report: StageReport) -> v1.StageExplanation:
    return v1.StageExplanation(
        stage=_STAGES[report.stage],
        result=_STAGE_RESULTS[report.result],
        candidates=[_candidate(candidate) for candidate in report.candidates],
        reason=report.reason,
    )


def _candidate(report: CandidateReport) -> v1.CandidateExplanation:
    return v1.CandidateExplanation(
        permission=v1.Permission(id=str(report.permission_id), name=report.permission_name),
        mode=_MODES[report.mode],
        has_password=report.has_password,
        result=_CANDIDATE_RESULTS[report.result],
        matched_patterns=report.matched_patterns,
        group_id=report.group_id,
        group_name=report.group_name,
        reason=report.reason,
    )
