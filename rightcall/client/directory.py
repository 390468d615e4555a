"""Reverse questions, for both clients: the callers who may dial an extension, and the extensions of a caller."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import grpc

from rightcall import v1
from rightcall.client import messages as wire
from rightcall.client.errors import InvalidCall, PinsDelayed
from rightcall.client.values import Decision, Permission, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rightcall.client.errors import RightcallError

REPORT_TIMEOUT = 10.0
"""Default timeout of a report, in seconds: no caller waits for a dial tone."""


@dataclass(frozen=True, slots=True)
class CallerDecision:
    """A user, and the answer of ``check`` for this caller.

    Attributes:
        caller: the user's UUID.
        decision: the decision on the user's call.
        stage: the stage that decides.
        permission: the permission that decides; None in the stage NONE.
    """

    caller: str
    decision: Decision
    stage: Stage
    permission: Permission | None


@dataclass(frozen=True, slots=True)
class CallerPage:
    """A page of a tenant's users, with the decision for each.

    Attributes:
        callers: sorted by UUID.
        tenant: the users' tenant.
        revision: the state of the rules that decides; one for all pages of an answer.
        outcall_known: whether the outcall is one of that tenant's; False without one.
        more: on the last page, whether the limit left callers out; ask for those after the last one.
    """

    callers: tuple[CallerDecision, ...]
    tenant: str
    revision: str
    outcall_known: bool
    more: bool


@dataclass(frozen=True, slots=True)
class ReachPattern:
    """A set of extensions, as a pattern, with a sample.

    Attributes:
        pattern: as in a call permission; beyond that, ``?`` is one character of any kind, ``[^…]`` one that is not
            listed, and ``{…}`` any number of what stands in the braces, or none.
        sample: an extension that matches the pattern.
    """

    pattern: str
    sample: str


@dataclass(frozen=True, slots=True)
class Reach:
    """All extensions with one answer.

    Attributes:
        decision: the answer of ``check``; None: different ones within the set.
        stage: the stage that decides; None unless permissions were to be told apart.
        permission: the permission that decides; None in the stage NONE, and unless permissions were to be told apart.
        patterns: sorted; no extension matches two of them, nor one of another reach.
    """

    decision: Decision | None
    stage: Stage | None
    permission: Permission | None
    patterns: tuple[ReachPattern, ...]


@dataclass(frozen=True, slots=True)
class Reaches:
    """The extensions that a caller may dial: every extension matches one pattern of one reach.

    Attributes:
        reaches: by decision; the one without any comes last.
        truncated: whether there is a reach without a decision: more patterns, or more work, than one answer may have.
        tenant: the tenant whose rules decide; empty where the call belongs to none.
        revision: the state of the rules that decides.
        caller_known: whether the caller is a user of that tenant.
        outcall_known: whether the outcall is one of that tenant's.
    """

    reaches: tuple[Reach, ...]
    truncated: bool
    tenant: str
    revision: str
    caller_known: bool
    outcall_known: bool


def callers_request(
    extension: str, outcall: str, tenant: str, decisions: Iterable[Decision], after: str, limit: int
) -> v1.ListCallersRequest:
    """The request for the callers that may dial ``extension``.

    Raises:
        InvalidCall: the request cannot be sent.
    """
    try:
        return v1.ListCallersRequest(
            extension=extension,
            outcall=outcall,
            tenant=tenant,
            decisions=[v1.Decision.Value(f"DECISION_{decision.name}") for decision in decisions],
            after=after,
            limit=limit,
        )
    except ValueError as error:
        raise InvalidCall(
            f"the question cannot be sent: {error}; send text that is UTF-8 and numbers up to 2^31"
        ) from error


def reach_request(
    caller: str, outcall: str, tenant: str, max_patterns: int, *, by_permission: bool
) -> v1.ListReachRequest:
    """The request for the extensions that ``caller`` may dial.

    Raises:
        InvalidCall: the request cannot be sent.
    """
    try:
        return v1.ListReachRequest(
            caller=caller, outcall=outcall, tenant=tenant, by_permission=by_permission, max_patterns=max_patterns
        )
    except ValueError as error:
        raise InvalidCall(
            f"the question cannot be sent: {error}; send text that is UTF-8 and numbers up to 2^31"
        ) from error


def to_page(response: v1.ListCallersResponse) -> CallerPage:
    """The page in a response."""
    return CallerPage(
        callers=tuple(map(_to_caller, response.callers)),
        tenant=response.tenant,
        revision=response.revision,
        outcall_known=response.outcall_known,
        more=response.more,
    )


def to_reaches(response: v1.ListReachResponse) -> Reaches:
    """The reaches in a response."""
    return Reaches(
        reaches=tuple(map(_to_reach, response.reaches)),
        truncated=response.truncated,
        tenant=response.tenant,
        revision=response.revision,
        caller_known=response.caller_known,
        outcall_known=response.outcall_known,
    )


def _to_caller(message: v1.CallerDecision) -> CallerDecision:
    return CallerDecision(
        message.caller,
        wire.member(Decision, message.decision),
        wire.member(Stage, message.stage),
        wire.to_permission(message.permission) if message.HasField("permission") else None,
    )


def _to_reach(message: v1.Reach) -> Reach:
    return Reach(
        decision=wire.member(Decision, message.decision) if message.decision else None,
        stage=wire.member(Stage, message.stage) if message.stage else None,
        permission=wire.to_permission(message.permission) if message.HasField("permission") else None,
        patterns=tuple(ReachPattern(one.pattern, one.sample) for one in message.patterns),
    )


def to_rpc_error(target: str, error: grpc.RpcError, seconds: float) -> RightcallError:
    """The error of the library that a request ended with.

    Args:
        target: the server that was asked.
        error: raised by grpcio: both an error and the call, of which the latter has the status.
        seconds: the deadline of the request.
    """
    message = error.details() or ""
    if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and message.startswith(wire.DELAYED):
        return PinsDelayed(message, _retry_after(error))
    return wire.to_error(target, error.code().value[0], message, seconds)


def _retry_after(error: grpc.RpcError) -> int:
    """The whole seconds after which a server says to ask again; at least one."""
    trailing = cast("Iterable[tuple[str, str | bytes]]", error.trailing_metadata() or ())
    said = next((str(value) for key, value in trailing if key == "retry-after-ms"), "")
    return max(1, math.ceil(int(said) / 1000)) if said.isdecimal() else 1
