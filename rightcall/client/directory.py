"""The questions that are asked the other way round, for both clients: who may dial this, and what may this one dial?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
import grpc.aio

from rightcall import v1
from rightcall.client import messages as wire
from rightcall.client.errors import InvalidCall
from rightcall.client.values import Decision, Permission, Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from rightcall.client.errors import RightcallError
    from rightcall.v1.directory_pb2_grpc import DirectoryServiceAsyncStub

REPORT_TIMEOUT = 10.0
"""Seconds that a report may take where nothing else is said: nobody waits for a dial tone."""


@dataclass(frozen=True, slots=True)
class CallerDecision:
    """A user, and what ``check`` would answer to it.

    Attributes:
        caller: the user's UUID.
        decision: what to do with its call.
        stage: the stage that decides.
        permission: the permission that decides; None in the stage NONE.
    """

    caller: str
    decision: Decision
    stage: Stage
    permission: Permission | None


@dataclass(frozen=True, slots=True)
class CallerPage:
    """Some of a tenant's users, with what is decided for each.

    Attributes:
        callers: sorted by UUID.
        tenant: the tenant whose users they are.
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
    """Some extensions, as a pattern, and one of them.

    Attributes:
        pattern: as in a call permission; beyond that, ``?`` is one character of any kind, ``[^…]`` one that is not
            listed, and ``{…}`` any number of what stands in the braces, or none.
        sample: an extension that matches it.
    """

    pattern: str
    sample: str


@dataclass(frozen=True, slots=True)
class Reach:
    """All extensions with one answer.

    Attributes:
        decision: what ``check`` would answer; None: this for some of them, that for others.
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
    """What a caller may dial: every extension matches one pattern of one reach.

    Attributes:
        reaches: by decision; the one without any comes last.
        truncated: whether there is one without: more patterns, or more work, than one answer may have.
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


class DirectoryQuestions:
    """What ``Client`` has of this."""

    target: str
    _directory: v1.DirectoryServiceStub

    def callers(
        self,
        *,
        extension: str,
        outcall: str = "",
        tenant: str = "",
        decisions: Iterable[Decision] = (),
        after: str = "",
        limit: int = 0,
        timeout: float = REPORT_TIMEOUT,
    ) -> Iterator[CallerPage]:
        """Who may dial ``extension``: every user of a tenant with what is decided, page by page as they come.

        Nothing is asked before the first page is. Errors are raised where pages are taken.

        Args:
            extension: what is dialled, 1 to 128 printable characters.
            outcall: the id of the outgoing call; empty: the call leaves through none.
            tenant: the tenant's UUID; empty: the outcall's, else the only one that the server has.
            decisions: only users for whom one of these is decided; empty: all.
            after: only users whose UUIDs come behind this one.
            limit: at most so many users; 0: all.
            timeout: seconds that the whole answer may take.

        Raises:
            QuestionError: the question is at fault.
            NoAnswer: there is no answer now.
            ServerError: the server failed.
        """
        request = callers_request(extension, outcall, tenant, decisions, after, limit)
        stream = self._directory.ListCallers(request, timeout=timeout)
        try:
            for response in stream:
                yield to_page(response)
        except grpc.RpcError as error:
            raise _error(self.target, error, timeout) from error
        finally:
            stream.cancel()

    def reach(
        self,
        *,
        caller: str = "",
        outcall: str = "",
        tenant: str = "",
        by_permission: bool = False,
        max_patterns: int = 0,
        timeout: float = REPORT_TIMEOUT,
    ) -> Reaches:
        """What ``caller`` may dial through ``outcall``, as patterns by what is decided.

        Args:
            caller: the UUID of the user who calls; empty: only the outcall's permissions apply.
            outcall: the id of the outgoing call; empty: the call leaves through none.
            tenant: the tenant's UUID; empty: the caller's own tenant, else the outcall's.
            by_permission: whether to tell apart which permission decides.
            max_patterns: at most so many patterns, up to 10,000; 0: 1,000.
            timeout: seconds that it may take.

        Raises:
            QuestionError: the question is at fault.
            NoAnswer: there is no answer now.
            ServerError: the server failed.
        """
        request = reach_request(caller, outcall, tenant, max_patterns, by_permission=by_permission)
        try:
            return to_reaches(self._directory.ListReach(request, timeout=timeout))
        except grpc.RpcError as error:
            raise _error(self.target, error, timeout) from error


class AsyncDirectoryQuestions:
    """What ``aio.Client`` has of this."""

    target: str
    _directory: DirectoryServiceAsyncStub

    async def callers(
        self,
        *,
        extension: str,
        outcall: str = "",
        tenant: str = "",
        decisions: Iterable[Decision] = (),
        after: str = "",
        limit: int = 0,
        timeout: float = REPORT_TIMEOUT,  # noqa: ASYNC109 - a deadline of gRPC, as in the other client
    ) -> AsyncIterator[CallerPage]:
        """Who may dial ``extension``. See ``rightcall.Client.callers``."""
        request = callers_request(extension, outcall, tenant, decisions, after, limit)
        stream = self._directory.ListCallers(request, timeout=timeout)
        try:
            async for response in stream:
                yield to_page(response)
        except grpc.aio.AioRpcError as error:
            raise _error(self.target, error, timeout) from error
        finally:
            stream.cancel()

    async def reach(
        self,
        *,
        caller: str = "",
        outcall: str = "",
        tenant: str = "",
        by_permission: bool = False,
        max_patterns: int = 0,
        timeout: float = REPORT_TIMEOUT,  # noqa: ASYNC109 - a deadline of gRPC, as in the other client
    ) -> Reaches:
        """What ``caller`` may dial through ``outcall``. See ``rightcall.Client.reach``."""
        request = reach_request(caller, outcall, tenant, max_patterns, by_permission=by_permission)
        try:
            return to_reaches(await self._directory.ListReach(request, timeout=timeout))
        except grpc.aio.AioRpcError as error:
            raise _error(self.target, error, timeout) from error


def callers_request(
    extension: str, outcall: str, tenant: str, decisions: Iterable[Decision], after: str, limit: int
) -> v1.ListCallersRequest:
    """The message that asks who may dial ``extension``.

    Raises:
        InvalidCall: it cannot be sent.
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
    """The message that asks what ``caller`` may dial.

    Raises:
        InvalidCall: it cannot be sent.
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


def _error(target: str, error: grpc.RpcError, seconds: float) -> RightcallError:
    # What a call raises is both an error and the call; only the latter's type has the status.
    return wire.to_error(target, error.code().value[0], error.details() or "", seconds)
