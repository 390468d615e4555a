"""The services as plain classes: a request message in, a response message out, or a ``CallError``.

The services know no transport. Each call reads one snapshot once and is counted once, here.
"""

from __future__ import annotations

from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from google.protobuf.message import DecodeError

from pdp.errors import CallError, ForgedChallenge, InvalidCall, NotAllowed, RulesBehind, TooManyCalls
from pdp.rules.analysis.explain import explain_outcome
from pdp.rules.dialling import Undiallable
from pdp.rules.model import Decision
from pdp.rules.snapshot.ruling import AS_WAZO, rule
from pdp.security.identity import EXCESS, client_name
from pdp.services.identity import check_open, identified
from pdp.services.messages import (
    DECISIONS,
    call_of,
    check_dialable,
    check_form,
    check_printable,
    error_of,
    explanation_of,
    response_of,
)
from pdp.services.shadow import Shadow
from pdp.snapshots.emergency import EmergencyCalls
from pdp.snapshots.freshness import RevisionWaiter
from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pdp.challenges.answers import Challenges
    from pdp.decision_log.log import Recorder
    from pdp.metrics.registry import Metrics
    from pdp.rules.model import Call
    from pdp.rules.snapshot.ruling import Policy
    from pdp.rules.snapshot.snapshot import Snapshot
    from pdp.rules.snapshot.verdict import Outcome
    from pdp.services.shadow import DifferenceLog
    from pdp.snapshots.current import CurrentSnapshots

MAX_CALLS = 1000
"""Default number of requests that one CheckCalls may hold."""

_UNREADABLE = f"the bytes are no {v1.StreamCheckCallsRequest.DESCRIPTOR.full_name}"


class _Found(NamedTuple):
    """The rules of a call's tenant, and the outcome if the call is to an emergency number."""

    snapshot: Snapshot | None
    emergency: Outcome | None


class DecisionService:
    """Answers ``rightcall.v1.DecisionService``.

    Args:
        current: the snapshots to decide by.
        metrics: where each decision is counted.
        policy: further reasons to deny.
        emergency: recognises calls to emergency numbers; None: those of the tenants alone.
        rules: finds rules as new as a request demands; None: such requests do not wait.
        challenges: checks passwords; None: no passwords are checked and no challenges sent.
        max_calls: requests that one CheckCalls may hold.
        decision_log: records each decision; None: no log.
        differences: logs calls that a tenant's candidate decides otherwise; None: with whole extensions.
    """

    def __init__(  # noqa: PLR0913 - each is a choice of the composition root
        self,
        current: CurrentSnapshots,
        metrics: Metrics,
        *,
        policy: Policy = AS_WAZO,
        emergency: EmergencyCalls | None = None,
        rules: RevisionWaiter | None = None,
        challenges: Challenges | None = None,
        max_calls: int = MAX_CALLS,
        decision_log: Recorder | None = None,
        differences: DifferenceLog | None = None,
    ) -> None:
        self._record = decision_log.record if decision_log is not None else None
        self._snapshots = current
        self._policy = policy
        self._emergency = emergency or EmergencyCalls(current)
        self._fresh = rules or RevisionWaiter(current.resolve)
        self._metrics = metrics
        self._shadow = Shadow(metrics, policy, self._emergency, differences)
        self._challenges = challenges
        self._max_calls = max_calls

    def check_call(self, request: v1.CheckCallRequest) -> v1.CheckCallResponse:
        """One call, one decision.

        Raises:
            CallError: the request has no response.
        """
        started = perf_counter()
        call = call_of(request)
        snapshot, emergency = self._look_up(call, request.at_least_revision)
        if emergency is not None:
            return self._told(snapshot, emergency, call, started)
        return self._response(snapshot, identified(snapshot, call), started)

    def spares(self, request: v1.CheckCallRequest | bytes) -> bool:
        """Whether a request, as a message or bytes, is about a call to an emergency number, and so exempt from limits.

        Raises:
            NotAllowed: the call's tenant is not the client's.
        """
        try:
            message = v1.CheckCallRequest.FromString(request) if isinstance(request, bytes) else request
        except DecodeError:
            return False
        return self._emergency.find(call_of(message)) is not None

    def spares_some(self, request: bytes) -> bool:
        """Whether a CheckCallsRequest holds a call to an emergency number; such calls of it alone are exempt."""
        try:
            calls = v1.CheckCallsRequest.FromString(request).calls
        except DecodeError:
            return False
        return any(self._emergency.may_be(call.extension) and self._spares_one(call) for call in calls)

    def spares_streamed(self, request: v1.StreamCheckCallsRequest) -> bool:
        """Whether a request of a stream is about a call to an emergency number."""
        return self._emergency.may_be(request.call.extension) and self._spares_one(request.call)

    def _spares_one(self, request: v1.CheckCallRequest) -> bool:
        try:
            return self.spares(request)
        except NotAllowed:
            return False

    def check_calls(self, request: v1.CheckCallsRequest) -> v1.CheckCallsResponse:
        """Many decisions, in the order of the requests; one revision for all calls of a tenant.

        Raises:
            InvalidCall: there are too many requests. The error of a single request is in the request's response.
        """
        if len(request.calls) > self._max_calls:
            raise InvalidCall(f"{len(request.calls)} calls are more than {self._max_calls}; send them in more requests")
        self._await_revisions(request.calls)
        moment = self._snapshots.frozen()  # one state decides all requests, even during a load
        return v1.CheckCallsResponse(answers=[self._one_of_many(call, moment) for call in request.calls])

    def stream_check_calls(
        self, requests: Iterable[v1.StreamCheckCallsRequest | None]
    ) -> Iterator[v1.StreamCheckCallsResponse]:
        """A decision for each request, in order; the error of a single request is in the request's response."""
        for request in requests:
            if request is None:
                error = v1.CheckCallError(code=InvalidCall.code, message=_UNREADABLE)
                yield v1.StreamCheckCallsResponse(error=error)
                continue
            try:
                response = self.check_call(request.call)
            except TooManyCalls:  # a stream beyond the limits is over with the first call that they hold for
                raise
            except CallError as error:
                yield v1.StreamCheckCallsResponse(id=request.id, error=error_of(error))
            else:
                yield v1.StreamCheckCallsResponse(id=request.id, response=response)

    def answer_challenge(self, request: v1.AnswerChallengeRequest) -> v1.AnswerChallengeResponse:
        """Whether a password opens the call that a challenge was made for.

        Raises:
            CallError: there is no answer.
        """
        if self._challenges is None:
            raise ForgedChallenge
        answer = self._challenges.answer(request.challenge, request.password, client_name())
        return v1.AnswerChallengeResponse(
            decision=DECISIONS[answer.decision],
            attempts_left=answer.attempts_left,
            revision=answer.revision,
            retry_after_seconds=answer.retry_after,
        )

    def explain_call(self, request: v1.ExplainCallRequest) -> v1.ExplainCallResponse:
        """The derivation of a decision; not counted as one.

        Raises:
            CallError: the request has no response.
        """
        call = call_of(request.call)
        snapshot, outcome = self._look_up(call, request.call.at_least_revision)
        if outcome is None:
            call = identified(snapshot, call)
            outcome = self._ruled(snapshot, call)
        return explanation_of(snapshot, outcome, explain_outcome(snapshot, call, outcome))

    def _look_up(
        self, call: Call, at_least: int, deadline: float | None = None, moment: CurrentSnapshots | None = None
    ) -> _Found:
        """The rules of a call's tenant, and the outcome of an emergency call, regardless of other errors.

        Args:
            call: the call to decide.
            at_least: number of the oldest revision that will do; 0: any.
            deadline: until when such a revision may be waited for; None: as long as usual.
            moment: the state to decide by, without waiting; None: the current state.

        Raises:
            CallError: the request has no response.
        """
        excess = EXCESS.get()
        if excess is not None and not self._emergency.may_be(call.extension):
            raise excess
        error: CallError | None = None
        snapshot: Snapshot | None = None
        try:
            snapshot = (moment or self._snapshots).resolve(call.asker, call.outcall, call.tenant)
        except NotAllowed:
            raise
        except CallError as caught:
            error = caught
        emergency = self._emergency.outcome(call, snapshot)
        if emergency is not None:
            return _Found(snapshot, emergency)
        if excess is not None:
            raise excess
        check_form(call)
        if at_least > 0 and moment is None:
            until = self._fresh.deadline() if deadline is None else deadline
            return _Found(self._fresh.resolve(call.asker, call.outcall, call.tenant, at_least, until), None)
        if error is not None:
            raise error
        number = snapshot.revision.number if snapshot is not None else None
        if at_least > 0 and (number is None or number < at_least):
            raise RulesBehind(at_least, number)
        return _Found(snapshot, None)

    def _await_revisions(self, requests: Iterable[v1.CheckCallRequest]) -> None:
        """Waits for the revisions that requests demand; a missing or faulty revision shows later."""
        deadline = self._fresh.deadline()
        for request in requests:
            if request.at_least_revision > 0:
                with suppress(CallError):
                    self._look_up(call_of(request), request.at_least_revision, deadline)

    def _one_of_many(self, request: v1.CheckCallRequest, moment: CurrentSnapshots) -> v1.CheckCallsAnswer:
        started, call = perf_counter(), call_of(request)
        try:
            snapshot, emergency = self._look_up(call, request.at_least_revision, moment=moment)
            if emergency is not None:
                return v1.CheckCallsAnswer(response=self._told(snapshot, emergency, call, started))
            return v1.CheckCallsAnswer(response=self._response(snapshot, identified(snapshot, call), started))
        except CallError as error:
            return v1.CheckCallsAnswer(error=error_of(error))

    def _response(self, snapshot: Snapshot | None, call: Call, started: float) -> v1.CheckCallResponse:
        return self._told(snapshot, self._ruled(snapshot, call), call, started)

    def _ruled(self, snapshot: Snapshot | None, call: Call) -> Outcome:
        """The outcome by permissions and policy.

        Raises:
            InvalidCall: the extension cannot be dialled.
        """
        check_open(snapshot)
        if snapshot is None or snapshot.dialling is None:
            check_printable(call.extension)
            if self._policy.dialable_only:
                check_dialable(call.extension)
        try:
            return rule(snapshot, call, self._policy)
        except Undiallable as error:
            raise InvalidCall(f"{error}; send what was dialled, without it") from None

    def _told(self, snapshot: Snapshot | None, outcome: Outcome, call: Call, started: float) -> v1.CheckCallResponse:
        """The response, once counted and logged."""
        verdict = outcome.verdict
        response = response_of(snapshot, outcome)
        if verdict.decision is Decision.CHALLENGE and self._challenges is not None and snapshot is not None:
            response.challenge = self._challenges.make(snapshot, call)
        seconds = perf_counter() - started
        self._metrics.decided(verdict.decision, verdict.stage, seconds)
        if verdict.decision is not Decision.ALLOW and snapshot is not None and verdict.permission_id is not None:
            self._metrics.refused(snapshot.tenant, verdict)
        self._metrics.unknown(
            caller=bool(call.asker) and not outcome.caller_known,
            outcall=bool(call.outcall) and not outcome.outcall_known,
        )
        if self._record is not None:
            self._record(snapshot, call, outcome, seconds)
        candidates = self._snapshots.candidates
        if candidates and snapshot is not None and snapshot.tenant in candidates:
            self._shadow.compare(candidates[snapshot.tenant], call, outcome)
        return response
