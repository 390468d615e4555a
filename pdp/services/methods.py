"""The methods of the API: message types, implementations and streaming kinds."""

from __future__ import annotations

from contextvars import ContextVar
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pdp.errors import InvalidCall
from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message

    from pdp.services.decisions import DecisionService
    from pdp.services.directory import DirectoryService
    from pdp.services.lockouts import LockoutService


class Kind(Enum):
    """The sides of a method that stream."""

    ONE_TO_ONE = "one request, one response"
    WAITING = "one request, one response that may wait for another program, so it takes no thread from decisions"
    REPORT = "one request, one response that takes long to make, so it takes no thread from decisions either"
    ONE_TO_MANY = "one request, a stream of responses"
    MANY_TO_MANY = "a stream of requests, a stream of responses"


CALLS: ContextVar[int] = ContextVar("calls", default=0)
"""The number of calls in the current request, where a request may hold several."""


class Method(NamedTuple):
    """A method of the API, for any transport.

    Attributes:
        service: the service's full name.
        name: the method's name.
        request: the request's message type.
        answer: makes the response, or raises ``CallError``. From a request to a message; ONE_TO_MANY: to an iterator of
            messages; MANY_TO_MANY: from an iterator of requests, None for one that cannot be read, to one of messages.
        kind: which sides stream.
        spares: whether a request is exempt from limits, as it holds a call to an emergency number: the bytes of a
            request, or of MANY_TO_MANY each message. None: there are no such requests.
    """

    service: str
    name: str
    request: type[Message]
    answer: Callable[[Any], Any]
    kind: Kind = Kind.ONE_TO_ONE
    spares: Callable[[Any], bool] | None = None


def methods(decisions: DecisionService, directory: DirectoryService, lockouts: LockoutService) -> tuple[Method, ...]:
    """All methods of the services."""
    decision_service = v1.decision_pb2.DESCRIPTOR.services_by_name["DecisionService"].full_name
    directory_service = v1.directory_pb2.DESCRIPTOR.services_by_name["DirectoryService"].full_name
    lockout_service = v1.lockout_pb2.DESCRIPTOR.services_by_name["LockoutService"].full_name
    return (
        Method(decision_service, "CheckCall", v1.CheckCallRequest, decisions.check_call, spares=decisions.spares),
        Method(
            decision_service, "CheckCalls", v1.CheckCallsRequest, decisions.check_calls, spares=decisions.spares_some
        ),
        Method(
            decision_service,
            "StreamCheckCalls",
            v1.StreamCheckCallsRequest,
            decisions.stream_check_calls,
            Kind.MANY_TO_MANY,
            decisions.spares_streamed,
        ),
        Method(
            decision_service, "AnswerChallenge", v1.AnswerChallengeRequest, decisions.answer_challenge, Kind.WAITING
        ),
        Method(decision_service, "ExplainCall", v1.ExplainCallRequest, decisions.explain_call, Kind.REPORT),
        Method(directory_service, "ListCallers", v1.ListCallersRequest, directory.list_callers, Kind.ONE_TO_MANY),
        Method(directory_service, "ListReach", v1.ListReachRequest, directory.list_reach, Kind.REPORT),
        Method(directory_service, "GetStatus", v1.GetStatusRequest, directory.get_status),
        Method(lockout_service, "ListLockouts", v1.ListLockoutsRequest, lockouts.list_lockouts, Kind.WAITING),
        Method(lockout_service, "Unlock", v1.UnlockRequest, lockouts.unlock, Kind.WAITING),
    )


_DELIMITED: Final = 2
_WIDTHS: Final = {1: 8, 5: 4}
"""Bytes of the kinds of a fixed width."""
_CALLS_TAG: Final = v1.CheckCallsRequest.DESCRIPTOR.fields_by_name["calls"].number << 3 | _DELIMITED
_LONGEST_VARINT: Final = 70
"""Bits, with those that protobuf ignores."""


def count_calls(data: bytes, most: int) -> int:
    """The number of calls in a CheckCallsRequest, from the bytes: two bytes can stand for an object of a hundred.

    Raises:
        InvalidCall: there are more than ``most``, or the bytes are no such message.
    """
    count = at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == _DELIMITED:
            length, at = _varint(data, at)
            at += length
        elif kind in _WIDTHS:
            at += _WIDTHS[kind]
        elif kind == 0:
            _, at = _varint(data, at)
        else:
            raise _unreadable()
        count += tag == _CALLS_TAG
        if count > most:
            raise InvalidCall(f"there are more than {most} calls; send them in more requests")
    return count


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number, and where the next thing begins; past the end, zeros."""
    value = 0
    for shift in range(0, _LONGEST_VARINT, 7):
        byte = data[at] if at < len(data) else 0
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:  # noqa: PLR2004 - the bit that says that more follow
            return value, at
    raise _unreadable()


def _unreadable() -> InvalidCall:
    return InvalidCall("the request's bytes are no rightcall.v1.CheckCallsRequest")
