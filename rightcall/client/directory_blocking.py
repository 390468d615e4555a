"""Questions about callers and reach: the blocking client's part, made by ``make client``."""

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
        """Yields every user of a tenant with the decision about dialling ``extension``, page by page.

        The request is sent when the first page is taken. Errors are raised when pages are taken.

        Args:
            extension: the dialled extension, 1 to 128 printable characters.
            outcall: the id of the outgoing call; empty: the call leaves through none.
            tenant: the tenant's UUID; empty: the outcall's, else the only one that the server has.
            decisions: only users with one of these decisions; empty: all.
            after: only users whose UUIDs come behind this one.
            limit: maximum number of users; 0: all.
            timeout: seconds for the whole answer.

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
        """The extensions that ``caller`` may dial through ``outcall``, as patterns by decision.

        Args:
            caller: the UUID of the user who calls; empty: only the outcall's permissions apply.
            outcall: the id of the outgoing call; empty: the call leaves through none.
            tenant: the tenant's UUID; empty: the caller's own tenant, else the outcall's.
            by_permission: whether to tell apart which permission decides.
            max_patterns: maximum number of patterns, up to 10,000; 0: 1,000.
            timeout: seconds for the request.

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
