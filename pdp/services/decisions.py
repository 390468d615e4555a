"""The services as plain classes: a request message in, a response message out, or a ``CallError``.

They know no transport. A call reads its snapshot once and is counted once, here.
"""

from __future__ import annotations

from enum import Enum
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from pdp.decision import decide
from pdp.errors import CallError, ForgedChallenge, InvalidCall
from pdp.rules.analysis.explain import UNKNOWN_TENANT, CandidateResult, StageResult, explain
from pdp.rules.model import MAX_EXTENSION_LENGTH, Decision, Mode, Stage
from pdp.rules.snapshot.verdict import UNRESTRICTED
from pdp.snapshots.freshness import FreshRules
from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from google.protobuf.message import Message

    from pdp.challenges.answers import Challenges
    from pdp.decision_log.log import Recorder
    from pdp.metrics.registry import Metrics
    from pdp.rules.analysis.closest import Closest
    from pdp.rules.analysis.explain import CandidateReport, Explanation, StageReport
    from pdp.rules.snapshot.snapshot import Snapshot
    from pdp.rules.snapshot.verdict import Verdict
    from pdp.services.directory import DirectoryService
    from pdp.snapshots.current import CurrentSnapshots

MAX_CALLS = 1000
"""Questions that one CheckCalls may hold, where nothing else is set."""

# From the core's terms to the API's. Going by name, a term that one of the two lacks fails here, at once.
_DECISIONS = {decision: v1.Decision.Value(f"DECISION_{decision.name}") for decision in Decision}
_STAGES = {stage: v1.Stage.Value(f"STAGE_{stage.name}") for stage in Stage}
_MODES = {mode: v1.Mode.Value(f"MODE_{mode.name}") for mode in Mode}
_STAGE_RESULTS = {result: v1.StageResult.Value(f"STAGE_RESULT_{result.name}") for result in StageResult}
_CANDIDATE_RESULTS = {result: v1.CandidateResult.Value(f"CANDIDATE_RESULT_{result.name}") for result in CandidateResult}

_UNREADABLE = f"the bytes are no {v1.StreamCheckCallsRequest.DESCRIPTOR.full_name}"


class Kind(Enum):
    """What goes to and fro in a call of a method."""

    ONE_TO_ONE = "one request, one response"
    WAITING = "one request, one response that may wait for another program, so it takes no thread from decisions"
    REPORT = "one request, one response that takes long to make, so it takes no thread from decisions either"
    ONE_TO_MANY = "one request, a stream of responses"
    MANY_TO_MANY = "a stream of requests, a stream of responses"


class Method(NamedTuple):
    """A method of the API, for whichever transport serves it.

    Attributes:
        service: the service's full name.
        name: the method's.
        request: the message that it takes.
        answer: makes the response, or raises ``CallError``. From a request to a message; ONE_TO_MANY: to an iterator of
            messages; MANY_TO_MANY: from an iterator of requests, None for one that cannot be read, to one of messages.
        kind: what goes to and fro.
        raw: makes the response's bytes from the request's, or raises ``CallError``: the same answer, sooner. It counts
            as a request what it answers, and nothing else. None: it cannot be had.
    """

    service: str
    name: str
    request: type[Message]
    answer: Callable[[Any], Any]
    kind: Kind = Kind.ONE_TO_ONE
    raw: Callable[[bytes], bytes] | None = None


class DecisionService:
    """Answers ``rightcall.v1.DecisionService``.

    Args:
        current: what it answers from.
        metrics: where each decision is counted.
        rules: finds rules that are as new as a question asks for; None: such questions do not wait.
        challenges: checks passwords; None: it cannot, and hands out no challenges.
        max_calls: questions that one CheckCalls may hold.
        decision_log: told of each decision; None: nobody is.
    """

    def __init__(
        self,
        current: CurrentSnapshots,
        metrics: Metrics,
        *,
        rules: FreshRules | None = None,
        challenges: Challenges | None = None,
        max_calls: int = MAX_CALLS,
        decision_log: Recorder | None = None,
    ) -> None:
        self._record = decision_log.record if decision_log is not None else None
        self._current = current.resolve
        self._fresh = rules or FreshRules(current.resolve)
        self._decided = metrics.decided
        self._refused = metrics.refused
        self._challenges = challenges
        self._max_calls = max_calls

    def check_call(self, request: v1.CheckCallRequest) -> v1.CheckCallResponse:
        """One call, one decision.

        Raises:
            CallError: the question has no answer.
        """
        started = perf_counter()
        check_extension(request.extension)
        return self._answer(self._resolve(request), request, started)

    def check_calls(self, request: v1.CheckCallsRequest) -> v1.CheckCallsResponse:
        """Many decisions, in the order of the questions; all those of a tenant by the same revision.

        Raises:
            InvalidCall: there are too many questions. What is wrong with one of them is its answer.
        """
        if len(request.calls) > self._max_calls:
            raise InvalidCall(f"{len(request.calls)} calls are more than {self._max_calls}; send them in more requests")
        deadline = self._fresh.deadline()
        revisions: dict[str, Snapshot] = {}
        found = [self._resolve_one_of_many(call, deadline, revisions) for call in request.calls]
        return v1.CheckCallsResponse(
            answers=[
                self._one_of_many(call, snapshot, revisions)
                for call, snapshot in zip(request.calls, found, strict=True)
            ]
        )

    def stream_check_calls(
        self, requests: Iterable[v1.StreamCheckCallsRequest | None]
    ) -> Iterator[v1.StreamCheckCallsResponse]:
        """A decision for each question, in their order; what is wrong with one of them is its answer."""
        for request in requests:
            if request is None:
                error = v1.CheckCallError(code=InvalidCall.code, message=_UNREADABLE)
                yield v1.StreamCheckCallsResponse(error=error)
                continue
            try:
                response = self.check_call(request.call)
            except CallError as error:
                yield v1.StreamCheckCallsResponse(id=request.id, error=_error(error))
            else:
                yield v1.StreamCheckCallsResponse(id=request.id, response=response)

    def answer_challenge(self, request: v1.AnswerChallengeRequest) -> v1.AnswerChallengeResponse:
        """Whether a password opens the call that a challenge was made for.

        Raises:
            CallError: there is no answer.
        """
        if self._challenges is None:
            raise ForgedChallenge
        answer = self._challenges.answer(request.challenge, request.password)
        return v1.AnswerChallengeResponse(
            decision=_DECISIONS[answer.decision],
            attempts_left=answer.attempts_left,
            revision=answer.revision,
            retry_after_seconds=answer.retry_after,
        )

    def explain_call(self, request: v1.ExplainCallRequest) -> v1.ExplainCallResponse:
        """The derivation of a decision; not counted as one.

        Raises:
            CallError: the question has no answer.
        """
        call = request.call
        check_extension(call.extension)
        snapshot = self._resolve(call)
        if snapshot is None:
            return _explanation(None, UNKNOWN_TENANT)
        return _explanation(snapshot, explain(snapshot, call.caller, call.extension, call.outcall))

    def _resolve(self, call: v1.CheckCallRequest, deadline: float | None = None) -> Snapshot | None:
        at_least = call.at_least_revision
        if at_least <= 0:
            return self._current(call.caller, call.outcall, call.tenant)
        until = self._fresh.deadline() if deadline is None else deadline
        return self._fresh.resolve(call.caller, call.outcall, call.tenant, at_least, until)

    def _resolve_one_of_many(
        self, call: v1.CheckCallRequest, deadline: float, revisions: dict[str, Snapshot]
    ) -> Snapshot | CallError | None:
        """Finds the rules for one of many questions; those of its tenant stay, unless it asks for newer ones."""
        try:
            check_extension(call.extension)
            snapshot = self._resolve(call, deadline)
        except CallError as error:
            return error
        if snapshot is not None:
            first = revisions.setdefault(snapshot.tenant, snapshot)
            if first.revision.number < call.at_least_revision:
                revisions[snapshot.tenant] = snapshot
        return snapshot

    def _one_of_many(
        self, call: v1.CheckCallRequest, found: Snapshot | CallError | None, revisions: dict[str, Snapshot]
    ) -> v1.CheckCallsAnswer:
        started = perf_counter()
        if isinstance(found, CallError):
            return v1.CheckCallsAnswer(error=_error(found))
        snapshot = revisions[found.tenant] if found is not None else None
        return v1.CheckCallsAnswer(response=self._answer(snapshot, call, started))

    def _answer(self, snapshot: Snapshot | None, call: v1.CheckCallRequest, started: float) -> v1.CheckCallResponse:
        verdict = decide(snapshot, call.caller, call.extension, call.outcall) if snapshot is not None else UNRESTRICTED
        response = response_of(snapshot, verdict)
        if verdict.decision is Decision.CHALLENGE and self._challenges is not None and snapshot is not None:
            response.challenge = self._challenges.make(snapshot, call.caller, call.extension, call.outcall)
        seconds = perf_counter() - started
        self._decided(verdict.decision, verdict.stage, seconds)
        if verdict.decision is not Decision.ALLOW and snapshot is not None:
            self._refused(snapshot.tenant, verdict)
        if self._record is not None:
            self._record(snapshot, call, verdict, seconds)
        return response


def methods(
    decisions: DecisionService,
    directory: DirectoryService,
    *,
    check_call: Callable[[bytes], bytes] | None = None,
    check_calls: Callable[[bytes], bytes] | None = None,
) -> tuple[Method, ...]:
    """Everything that the two services answer; ``check_call`` and ``check_calls`` as ``Method.raw`` has it."""
    decision_service = v1.decision_pb2.DESCRIPTOR.services_by_name["DecisionService"].full_name
    directory_service = v1.directory_pb2.DESCRIPTOR.services_by_name["DirectoryService"].full_name
    return (
        Method(decision_service, "CheckCall", v1.CheckCallRequest, decisions.check_call, raw=check_call),
        Method(decision_service, "CheckCalls", v1.CheckCallsRequest, decisions.check_calls, raw=check_calls),
        Method(
            decision_service,
            "StreamCheckCalls",
            v1.StreamCheckCallsRequest,
            decisions.stream_check_calls,
            Kind.MANY_TO_MANY,
        ),
        Method(
            decision_service, "AnswerChallenge", v1.AnswerChallengeRequest, decisions.answer_challenge, Kind.WAITING
        ),
        Method(decision_service, "ExplainCall", v1.ExplainCallRequest, decisions.explain_call),
        Method(directory_service, "ListCallers", v1.ListCallersRequest, directory.list_callers, Kind.ONE_TO_MANY),
        Method(directory_service, "ListReach", v1.ListReachRequest, directory.list_reach, Kind.REPORT),
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


def response_of(snapshot: Snapshot | None, verdict: Verdict) -> v1.CheckCallResponse:
    """A verdict as the API tells it; without rules there is no revision."""
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


def _error(error: CallError) -> v1.CheckCallError:
    return v1.CheckCallError(code=error.code, message=error.message)


def _explanation(snapshot: Snapshot | None, explanation: Explanation) -> v1.ExplainCallResponse:
    return v1.ExplainCallResponse(
        answer=response_of(snapshot, explanation.verdict),
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
        closest=_closest(report.closest) if report.closest else None,
    )


def _closest(closest: Closest) -> v1.ClosestPattern:
    return v1.ClosestPattern(pattern=closest.pattern, position=closest.position, expected=closest.expected)
