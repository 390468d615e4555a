"""The services as plain classes: a request message in, a response message out, or a ``CallError``.

They know no transport. A call reads its snapshot once and is counted once, here.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from pdp.errors import CallError, ForgedChallenge, InvalidCall
from pdp.rules.analysis.explain import explain_outcome
from pdp.rules.model import Decision
from pdp.rules.snapshot.ruling import AS_WAZO, rule
from pdp.services.messages import (
    DECISIONS,
    call_of,
    check_form,
    check_printable,
    error_of,
    explanation_of,
    is_anonymous_or_uuid,
    no_caller,
    response_of,
)
from pdp.snapshots.freshness import FreshRules
from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pdp.challenges.answers import Challenges
    from pdp.decision_log.log import Recorder
    from pdp.metrics.registry import Metrics
    from pdp.rules.model import Call
    from pdp.rules.snapshot.ruling import Policy
    from pdp.rules.snapshot.snapshot import Snapshot
    from pdp.snapshots.current import CurrentSnapshots

MAX_CALLS = 1000
"""Questions that one CheckCalls may hold, where nothing else is set."""

_UNREADABLE = f"the bytes are no {v1.StreamCheckCallsRequest.DESCRIPTOR.full_name}"


class DecisionService:
    """Answers ``rightcall.v1.DecisionService``.

    Args:
        current: what it answers from.
        metrics: where each decision is counted.
        policy: what it denies besides.
        rules: finds rules that are as new as a request asks for; None: such requests do not wait.
        challenges: checks passwords; None: it cannot, and hands out no challenges.
        max_calls: questions that one CheckCalls may hold.
        decision_log: told of each decision; None: nobody is.
    """

    def __init__(
        self,
        current: CurrentSnapshots,
        metrics: Metrics,
        *,
        policy: Policy = AS_WAZO,
        rules: FreshRules | None = None,
        challenges: Challenges | None = None,
        max_calls: int = MAX_CALLS,
        decision_log: Recorder | None = None,
    ) -> None:
        self._record = decision_log.record if decision_log is not None else None
        self._current = current.resolve
        self._policy = policy
        self._fresh = rules or FreshRules(current.resolve)
        self._metrics = metrics
        self._challenges = challenges
        self._max_calls = max_calls

    def check_call(self, request: v1.CheckCallRequest) -> v1.CheckCallResponse:
        """One call, one decision.

        Raises:
            CallError: the request has no response.
        """
        started = perf_counter()
        call = call_of(request)
        check_form(call)
        snapshot = self._resolve(call, request.at_least_revision)
        return self._response(snapshot, identified(snapshot, call), started)

    def check_calls(self, request: v1.CheckCallsRequest) -> v1.CheckCallsResponse:
        """Many decisions, in the order of the requests; all those of a tenant by the same revision.

        Raises:
            InvalidCall: there are too many requests. What is wrong with one of them is its response.
        """
        if len(request.calls) > self._max_calls:
            raise InvalidCall(f"{len(request.calls)} calls are more than {self._max_calls}; send them in more requests")
        deadline = self._fresh.deadline()
        revisions: dict[str, Snapshot] = {}
        found = [self._resolve_one_of_many(call, deadline, revisions) for call in request.calls]
        return v1.CheckCallsResponse(
            answers=[
                self._one_of_many(call_of(call), snapshot, revisions)
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
        answer = self._challenges.answer(request.challenge, request.password)
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
        check_form(call)
        snapshot = self._resolve(call, request.call.at_least_revision)
        call = identified(snapshot, call)
        check_printable(call.extension)
        outcome = rule(snapshot, call, self._policy)
        return explanation_of(snapshot, outcome, explain_outcome(snapshot, call, outcome))

    def _resolve(self, call: Call, at_least: int, deadline: float | None = None) -> Snapshot | None:
        if at_least <= 0:
            return self._current(call.asker, call.outcall, call.tenant)
        until = self._fresh.deadline() if deadline is None else deadline
        return self._fresh.resolve(call.asker, call.outcall, call.tenant, at_least, until)

    def _resolve_one_of_many(
        self, request: v1.CheckCallRequest, deadline: float, revisions: dict[str, Snapshot]
    ) -> Snapshot | CallError | None:
        """Finds the rules for one of many requests; those of its tenant stay, unless it asks for newer ones."""
        call, at_least = call_of(request), request.at_least_revision
        try:
            check_form(call)
            snapshot = self._resolve(call, at_least, deadline)
        except CallError as error:
            return error
        if snapshot is not None:
            first = revisions.setdefault(snapshot.tenant, snapshot)
            if first.revision.number < at_least:
                revisions[snapshot.tenant] = snapshot
        return snapshot

    def _one_of_many(
        self, call: Call, found: Snapshot | CallError | None, revisions: dict[str, Snapshot]
    ) -> v1.CheckCallsAnswer:
        started = perf_counter()
        if isinstance(found, CallError):
            return v1.CheckCallsAnswer(error=error_of(found))
        snapshot = revisions[found.tenant] if found is not None else None
        try:
            return v1.CheckCallsAnswer(response=self._response(snapshot, identified(snapshot, call), started))
        except CallError as error:
            return v1.CheckCallsAnswer(error=error_of(error))

    def _response(self, snapshot: Snapshot | None, call: Call, started: float) -> v1.CheckCallResponse:
        check_printable(call.extension)
        outcome = rule(snapshot, call, self._policy)
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
        return response


def identified(snapshot: Snapshot | None, call: Call) -> Call:
    """The call with the UUIDs of users in the place of their aliases.

    Raises:
        InvalidCall: a caller is neither a UUID nor an alias of a user of the tenant.
    """
    if is_anonymous_or_uuid(call.caller) and is_anonymous_or_uuid(call.forwarded_by):
        return call
    return call._replace(
        caller=_user(snapshot, "caller", call.caller), forwarded_by=_user(snapshot, "forwarded_by", call.forwarded_by)
    )


def _user(snapshot: Snapshot | None, name: str, text: str) -> str:
    if is_anonymous_or_uuid(text):
        return text
    uuid = snapshot.user_of(text) if snapshot is not None else ""
    if not uuid:
        raise no_caller(name, text)
    return uuid
