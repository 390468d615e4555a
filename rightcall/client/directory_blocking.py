"""Who may dial what, asked of a server: the blocking client's part, made by ``make client``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc

from rightcall.client.directory import (
    REPORT_TIMEOUT,
    callers_request,
    reach_request,
    to_page,
    to_reaches,
    to_rpc_error,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rightcall.client.directory import CallerPage, Reaches
    from rightcall.client.values import Decision
    from rightcall.v1.directory_pb2_grpc import DirectoryServiceStub


class DirectoryQuestions:
    """The methods of ``Client`` that ask who may dial what."""

    target: str
    _directory: DirectoryServiceStub

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
            raise to_rpc_error(self.target, error, timeout) from error
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
            raise to_rpc_error(self.target, error, timeout) from error
