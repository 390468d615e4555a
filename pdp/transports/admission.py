"""Admission: calls beyond what a thread pool can answer in time are rejected when they arrive."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import grpc

from pdp.errors import TooManyCalls

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import ThreadPoolExecutor

    from pdp.metrics.registry import Metrics
    from pdp.transports.guard_interceptor import Refuser

    _Handler = grpc.RpcMethodHandler[Any, Any]

_OVERLOAD_SECONDS = 0.25
"""Seconds after which clients of an overloaded server may retry."""
_MAX_ASIDE = 1024
"""Calls that may wait for a thread of a pool other than that of decisions."""
_KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")


class Admission(grpc.ServerInterceptor):
    """Rejects calls while too many wait: these would be answered too late, and delay the others.

    grpcio asks for a handler when a call arrives, long before a thread is free for it. A call that waits holds memory,
    so each pool has a limit, and all together are a limit for the process.

    Args:
        pool: of decisions.
        most: calls that may wait for the pool; 0: no limit.
        refuser: answers rejected calls.
        metrics: where rejected calls are counted.

    Attributes:
        arrived: calls so far.
        spared: by path, handlers that answer calls exempt from limits, and reject the others.
    """

    def __init__(self, pool: ThreadPoolExecutor, most: int, refuser: Refuser, metrics: Metrics) -> None:
        self.arrived = 0
        self.spared: Mapping[str, _Handler] = {}
        self._pool = pool
        self._most = most or sys.maxsize
        self._refuser = refuser
        self._metrics = metrics

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], _Handler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler | None:
        """The handler of a call that arrives, or a rejecting one; None: there is no such method."""
        self.arrived += 1
        handler = continuation(handler_call_details)
        if handler is None:
            return None
        pool = _pool_of(handler)
        waiting = (pool or self._pool)._work_queue.qsize()  # noqa: SLF001 - the pool has no other way to tell
        if waiting < (self._most if pool is None else _MAX_ASIDE):
            return handler
        spared = self.spared.get(handler_call_details.method)
        if spared is not None and (of_spared := _pool_of(spared)) and of_spared._work_queue.qsize() < _MAX_ASIDE:  # noqa: SLF001 - likewise
            return spared
        error = overload()
        self._metrics.rejected(error.reason)
        self._metrics.requested(handler_call_details.method.rpartition("/")[2], error.code.name)
        return self._refuser.handler(error)


def overload() -> TooManyCalls:
    """The error of a call that is one too many."""
    return TooManyCalls("overload", _OVERLOAD_SECONDS)


def _pool_of(handler: _Handler) -> ThreadPoolExecutor | None:
    """The separate pool of a handler's calls; None: the calls run on the pool of decisions."""
    behavior = next(behavior for kind in _KINDS if (behavior := getattr(handler, kind)) is not None)
    pool: ThreadPoolExecutor | None = getattr(behavior, "experimental_thread_pool", None)
    return pool
