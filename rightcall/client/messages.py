"""Between the values of ``answers`` and the messages of the API, and from gRPC statuses to the errors of ``errors``."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, TypeVar

import grpc

from rightcall.client.errors import (
    ChallengeOver,
    DeadlineExceeded,
    InvalidCall,
    NoAnswer,
    NotAllowed,
    NotReady,
    RightcallError,
    RulesBehind,
    ServerError,
    TenantClosed,
    UnknownTenant,
    Unreachable,
)
from rightcall.client.values import (
    Answer,
    Call,
    Candidate,
    CandidateResult,
    ChallengeAnswer,
    ClosestPattern,
    Decision,
    Explanation,
    Mode,
    Permission,
    Reason,
    Stage,
    StageExplanation,
    StageResult,
    Status,
    TenantStatus,
)
from rightcall.v1 import AnswerChallengeRequest, CheckCallRequest, StreamCheckCallsRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from enum import IntEnum

    from rightcall import v1

    EnumT = TypeVar("EnumT", bound=IntEnum)

DECISION_ID_KEY = "rightcall-decision-id"
"""The trailing metadata that name a response's entry in the decision log."""

NOT_READY = "no rules are loaded yet"
"""The beginning of the message of a server without rules; the status is that of an unreachable server."""

NOT_COUNTED = "passwords cannot be checked now"
"""The beginning of the message of a server that cannot count attempts; the status is that of an unreachable server."""


def emergency_test(numbers: Iterable[str]) -> Callable[[str], bool]:
    """A function that tells whether an extension is one of some emergency numbers."""
    given = tuple(numbers)
    if not given:
        return lambda _extension: False
    # Most clients have none, and need nothing of the rules.
    from pdp.rules.dialling import Emergency  # noqa: PLC0415 - see above

    return Emergency(given).__contains__


DELAYED = "too many wrong PINs"
"""The beginning of the message of a server that looks at no PIN for a while."""

EMERGENCY = Answer(Decision.ALLOW, Stage.EMERGENCY, None, "", "", reason=Reason.EMERGENCY)
"""The answer to a call of an emergency number when no server answers."""

CLOSED = " is closed: its definitions have "
"""Part of the message about a tenant without good rules; the status is that of rules that are behind."""

MISSING = "no tenant that is loaded here claims this call"
"""The beginning of the message of a server that does not know all tenants."""

_SAID: dict[grpc.StatusCode, type[RightcallError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidCall,
    grpc.StatusCode.NOT_FOUND: UnknownTenant,
    grpc.StatusCode.FAILED_PRECONDITION: RulesBehind,
    grpc.StatusCode.ABORTED: ChallengeOver,
    grpc.StatusCode.UNAUTHENTICATED: NotAllowed,
    grpc.StatusCode.PERMISSION_DENIED: NotAllowed,
}
"""Errors made of the message alone, by status."""
_STATUSES = {code.value[0]: code for code in grpc.StatusCode}


def to_request(call: Call) -> CheckCallRequest:
    """The request for ``call``.

    Raises:
        InvalidCall: a text has no UTF-8 form, or a number is not a revision's.
        TypeError: a text field is not text.
    """
    for name in _TEXTS:
        _check_text(name, getattr(call, name))
    try:
        return CheckCallRequest(
            caller=call.caller,
            extension=call.extension,
            outcall=call.outcall,
            tenant=call.tenant,
            at_least_revision=call.at_least_revision,
            forwarded_by=call.forwarded_by,
        )
    except UnicodeEncodeError as error:
        message = f"{call!r} holds text that has no UTF-8 form; send what was dialled, decoded"
        raise InvalidCall(message) from error
    except ValueError as error:
        raise InvalidCall(f"{call!r} asks for a revision that is none; send its number") from error


_TEXTS = ("caller", "extension", "outcall", "tenant", "forwarded_by")


def _check_text(name: str, value: object) -> None:
    """Rejects a value that is not text: None would pass for empty, and empty for a caller without permissions."""
    if isinstance(value, str):
        return
    if isinstance(value, int) and not isinstance(value, bool):
        raise TypeError(f"{name} is a number; write '{value}'")
    raise TypeError(f"{name} is {type(value).__name__}, not text; leave it out, or write '', where there is none")


def to_challenge_request(challenge: str, password: str) -> AnswerChallengeRequest:
    """The request that answers a challenge.

    Raises:
        InvalidCall: a text has no UTF-8 form.
    """
    try:
        return AnswerChallengeRequest(challenge=challenge, password=password)
    except UnicodeEncodeError:
        # Without the cause, which would show the password.
        raise InvalidCall("challenge or password has no UTF-8 form; send what was dialled, decoded") from None


def to_challenge_answer(response: v1.AnswerChallengeResponse) -> ChallengeAnswer:
    """The answer in a response.

    Raises:
        ServerError: the answer is unknown to this client.
    """
    return ChallengeAnswer(
        decision=member(Decision, response.decision),
        attempts_left=response.attempts_left,
        revision=response.revision,
        retry_after=response.retry_after_seconds,
    )


def to_question(identity: str, call: Call) -> StreamCheckCallsRequest:
    """The request for ``call`` in a stream.

    Raises:
        InvalidCall: the call cannot be sent.
    """
    request = to_request(call)
    try:
        return StreamCheckCallsRequest(id=identity, call=request)
    except UnicodeEncodeError as error:
        raise InvalidCall(f"the question's id {identity!r} has no UTF-8 form; send another one") from error


def to_tagged(target: str, response: v1.StreamCheckCallsResponse) -> tuple[str, Answer | RightcallError]:
    """The id in a response of a stream, and the answer, or the error that the question would have raised alone."""
    if response.HasField("error"):
        return response.id, to_error(target, response.error.code, response.error.message, 0)
    return response.id, to_answer(response.response)


def to_answer(response: v1.CheckCallResponse, decision_id: str = "") -> Answer:
    """The answer in a response, with an entry in the server's decision log, if there is a log.

    Raises:
        ServerError: the answer is unknown to this client.
    """
    permission = to_permission(response.permission) if response.HasField("permission") else None
    return Answer(
        member(Decision, response.decision),
        member(Stage, response.stage),
        permission,
        response.revision,
        response.challenge,
        decision_id,
        member(Reason, response.reason),
        response.caller_known,
        response.outcall_known,
    )


def decision_id(trailing: Iterable[tuple[str, str | bytes]] | None) -> str:
    """The decision's id in the metadata that follow a response; empty where the server keeps no decision log."""
    return next((str(value) for key, value in trailing or () if key == DECISION_ID_KEY), "")


def to_answers(target: str, response: v1.CheckCallsResponse, asked: int) -> list[Answer | RightcallError]:
    """The answers in a response; for each faulty question the error that the question alone would have raised."""
    if len(response.answers) != asked:
        raise ServerError(f"{target} gave {len(response.answers)} answers to {asked} questions; see the server's log")
    return [
        to_answer(one.response) if one.HasField("response") else to_error(target, one.error.code, one.error.message, 0)
        for one in response.answers
    ]


def to_permission(message: v1.Permission) -> Permission:
    """The permission in a message."""
    return Permission(message.id, message.name)


def to_explanation(response: v1.ExplainCallResponse) -> Explanation:
    """The explanation in a response."""
    return Explanation(
        answer=to_answer(response.answer),
        tenant=response.tenant,
        caller_known=response.caller_known,
        outcall_known=response.outcall_known,
        stages=tuple(map(_to_stage, response.stages)),
        summary=response.summary,
        forms=tuple(response.forms),
    )


def to_status(response: v1.GetStatusResponse) -> Status:
    """The status in a response."""
    told = response.HasField("contacted_at")
    return Status(
        response.version,
        response.source,
        response.source_error,
        tuple(map(_to_tenant, response.tenants)),
        contacted_at=response.contacted_at.ToDatetime(tzinfo=UTC) if told else None,
        staleness_seconds=response.staleness_seconds,
    )


def to_error(target: str, status: int, message: str, seconds: float) -> RightcallError:
    """The client's error for a gRPC status other than OK.

    Args:
        target: the server's target.
        status: the status's number.
        message: the status's message.
        seconds: the time that was allowed.
    """
    code = _STATUSES.get(status, grpc.StatusCode.UNKNOWN)
    if code in _SAID:
        closed = code is grpc.StatusCode.FAILED_PRECONDITION and CLOSED in message
        return TenantClosed(message) if closed else _SAID[code](message)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded(target, seconds)
    if code is grpc.StatusCode.UNAVAILABLE:
        return _unavailable(target, message)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return NoAnswer(f"{target} takes no more: {message}")
    if code is grpc.StatusCode.CANCELLED:
        return NoAnswer(f"the question to {target} was given up before it had an answer: {message}")
    return ServerError(f"{target} failed with {code.name}: {message}; check that it is a Rightcall server, see its log")


def _unavailable(target: str, message: str) -> NoAnswer:
    """The error for UNAVAILABLE: the message comes from a server, or from gRPC without a server."""
    if message.startswith(NOT_READY):
        return NotReady(message)
    return NoAnswer(message) if message.startswith((NOT_COUNTED, MISSING)) else Unreachable(target, message)


def _to_stage(message: v1.StageExplanation) -> StageExplanation:
    return StageExplanation(
        stage=member(Stage, message.stage),
        result=member(StageResult, message.result),
        candidates=tuple(map(_to_candidate, message.candidates)),
        reason=message.reason,
    )


def _to_candidate(message: v1.CandidateExplanation) -> Candidate:
    return Candidate(
        permission=to_permission(message.permission),
        mode=member(Mode, message.mode),
        has_password=message.has_password,
        result=member(CandidateResult, message.result),
        matched_patterns=tuple(message.matched_patterns),
        group_id=message.group_id,
        group_name=message.group_name,
        reason=message.reason,
        closest=_to_closest(message.closest) if message.HasField("closest") else None,
        matched_form=message.matched_form,
    )


def _to_closest(message: v1.ClosestPattern) -> ClosestPattern:
    return ClosestPattern(message.pattern, message.position, message.expected, message.form)


def _to_tenant(message: v1.TenantStatus) -> TenantStatus:
    return TenantStatus(
        tenant=message.tenant,
        name=message.name,
        revision=message.revision,
        number=message.number,
        compiled_at=message.compiled_at.ToDatetime(tzinfo=UTC),
        loaded_at=message.loaded_at.ToDatetime(tzinfo=UTC),
        users=message.users,
        groups=message.groups,
        outcalls=message.outcalls,
        permissions=message.permissions,
        patterns=message.patterns,
        bytes=message.bytes,
        loaded_from=message.loaded_from,
    )


def member(enum: type[EnumT], number: int) -> EnumT:
    """The member with this number. One that is not known must not pass for any that is."""
    try:
        return enum(number)
    except ValueError:
        message = (
            f"the server answered with {enum.__name__} {number}, which this client does not know; update the client"
        )
        raise ServerError(message) from None
