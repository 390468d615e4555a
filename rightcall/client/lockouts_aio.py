"""Lockouts and their end: the asynchronous client's part."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc.aio

from rightcall import v1
from rightcall.client.directory import REPORT_TIMEOUT, to_rpc_error
from rightcall.client.lockouts import to_lockouts, to_unlocked

if TYPE_CHECKING:
    from rightcall.client.lockouts import Lockouts, Unlocked
    from rightcall.v1.lockout_pb2_grpc import LockoutServiceAsyncStub


class AsyncLockoutRequests:
    """The methods of ``Client`` that are about lockouts; the client needs the right ``lockouts``."""

    target: str
    _lockouts: LockoutServiceAsyncStub

    async def lockouts(
        self,
        *,
        tenant: str = "",
        limit: int = 0,
        timeout: float = REPORT_TIMEOUT,  # noqa: ASYNC109 - a deadline of gRPC
    ) -> Lockouts:
        """The callers who are locked out now, and the permissions whose PINs are delayed.

        Args:
            tenant: the UUID of the only tenant; empty: all.
            limit: maximum number of lockouts, up to 10,000; 0: 1,000.
            timeout: seconds for the request.

        Raises:
            QuestionError: the request is at fault, or not allowed.
            NoAnswer: there is no answer now.
            ServerError: the server failed.
        """
        request = v1.ListLockoutsRequest(tenant=tenant, limit=limit)
        try:
            return to_lockouts(await self._lockouts.ListLockouts(request, timeout=timeout))
        except grpc.aio.AioRpcError as error:
            raise to_rpc_error(self.target, error, timeout) from error

    async def unlock(
        self,
        *,
        caller: str = "",
        outcall: str = "",
        permission: str = "",
        tenant: str = "",
        timeout: float = REPORT_TIMEOUT,  # noqa: ASYNC109 - a deadline of gRPC
    ) -> Unlocked:
        """Forgets wrong PINs: one of ``caller``, ``outcall`` and ``permission`` says whose.

        Args:
            caller: the user, a UUID or an alias.
            outcall: the id of an outcall, for callers whom the tenant does not know.
            permission: the id of a permission, whose delays end.
            tenant: the tenant's UUID; empty: the caller's or outcall's, else the only one that the server has.
            timeout: seconds for the request.

        Raises:
            QuestionError: the request is at fault, or not allowed.
            NoAnswer: there is no answer now.
            ServerError: the server failed.
        """
        request = v1.UnlockRequest(caller=caller, outcall=outcall, permission=permission, tenant=tenant)
        try:
            return to_unlocked(await self._lockouts.Unlock(request, timeout=timeout))
        except grpc.aio.AioRpcError as error:
            raise to_rpc_error(self.target, error, timeout) from error
