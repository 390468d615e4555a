"""The guard as a gRPC interceptor.

Credentials sent with a call are checked on arrival, before a thread waits for the message: unauthenticated clients
cannot hold threads. Facts of the connection (certificate, address) are checked in the thread.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from typing import TYPE_CHECKING, Any, NoReturn

import grpc

from pdp.errors import CallError, RetryLater
from pdp.security.identity import ASKING, CALLERS, DECISION, EXCESS, LOCKOUTS, REACH, STATUS
from pdp.transports.retry_info import retry_metadata
from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pdp.metrics.registry import Metrics
    from pdp.security.guard import Guard
    from pdp.security.identity import Client

    _Handler = grpc.RpcMethodHandler[Any, Any]

_OPEN = "/grpc.health.v1.Health/"
"""Health checks need no credentials: orchestrators have none."""
_DECISIONS = v1.decision_pb2.DESCRIPTOR.services_by_name["DecisionService"].methods_by_name
_RIGHTS = {
    "DecisionService": dict.fromkeys(_DECISIONS, DECISION),
    "DirectoryService": {"ListCallers": CALLERS, "ListReach": REACH, "GetStatus": STATUS},
    "LockoutService": {"ListLockouts": LOCKOUTS, "Unlock": LOCKOUTS},
}
"""The right that each method of a service needs."""
_NONE = "none"
"""A right that no client has, for methods that are not named above."""
_KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
_STATUSES = {status.value[0]: status for status in grpc.StatusCode}
_MAX_GUARDED = 100
_LONGEST_PAUSE = 0.25
"""Seconds after which a stream that is slowed down looks whether anybody still listens."""


def refuse(context: grpc.ServicerContext, error: CallError) -> NoReturn:
    """Ends a call with the status of an error."""
    if isinstance(error, RetryLater):
        context.set_trailing_metadata(retry_metadata(error))
    context.abort(_STATUSES[error.code], error.message)
    raise AssertionError  # abort raises; its type does not say so


class Refuser:
    """Answers rejected calls, on a separate thread and without waiting for messages."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="refusals")

    def handler(self, error: CallError) -> _Handler:
        """Ends one call with the status of an error."""

        def behavior(_request: object, context: grpc.ServicerContext) -> NoReturn:
            refuse(context, error)

        behavior.experimental_thread_pool = self._pool  # type: ignore[attr-defined]  # where grpcio looks for it
        return grpc.stream_unary_rpc_method_handler(behavior)

    def release(self) -> None:
        """Lets the thread go, once the server has stopped."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class GuardInterceptor(grpc.ServerInterceptor):
    """Passes every call but health checks to the guard.

    Args:
        guard: admits calls.
        refuser: answers calls rejected on arrival.
        metrics: where rejected requests are counted.
        connection: returns the facts of a call's connection, as keyword arguments of ``Guard.admit``.
    """

    def __init__(
        self,
        guard: Guard,
        refuser: Refuser,
        metrics: Metrics,
        connection: Callable[[grpc.ServicerContext], dict[str, Any]] | None = None,
    ) -> None:
        self._guard = guard
        self._connection = connection or connection_of
        self._refuser = refuser
        self._metrics = metrics
        self._guarded: dict[tuple[str, _Handler], _Handler] = {}

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], _Handler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler | None:
        """The handler of a call that arrives, behind the guard."""
        handler = continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method.startswith(_OPEN):
            return handler
        right, name = needed_right(method)
        try:
            metadata = handler_call_details.invocation_metadata or ()
            sent = [value for key, value in metadata if key == "authorization"]
            client = self._guard.identify(sent, right)
        except CallError as error:
            self._metrics.requested(name, error.code.name)
            return self._refuser.handler(error)
        ASKING.set(client)
        guarded = self._guarded.get((method, handler))
        if guarded is None:
            if len(self._guarded) >= _MAX_GUARDED:  # an interceptor makes handlers call by call
                self._guarded.clear()
            guarded = self._guarded[method, handler] = self._wrapped(handler, right, method)
        return guarded

    def _wrapped(self, handler: _Handler, right: str, method: str) -> _Handler:
        kind = next(kind for kind in _KINDS if getattr(handler, kind))
        wrap = self._stream if handler.response_streaming else self._unary
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        behavior = wrap(getattr(handler, kind), right, method)
        made: _Handler = make(
            behavior,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )
        return made

    def _unary(self, behavior: Callable[..., Any], right: str, method: str) -> Callable[..., Any]:
        _, name = needed_right(method)
        take_spared = getattr(behavior, "take_spared", None)

        @wraps(behavior)  # a thread pool of its own, too
        def guarded(request: Any, context: grpc.ServicerContext) -> Any:
            taken = []

            def is_spared(client: Client) -> bool:
                ASKING.set(client)
                if take_spared is not None and (message := take_spared(request, context)) is not None:
                    taken.append(message)
                return bool(taken)

            try:
                with self._guard.admit(ASKING.get(), right, **self._connection(context), spared=is_spared) as client:
                    ASKING.set(client)
                    return behavior(iter(taken) if taken else request, context)
            except CallError as error:
                self._metrics.requested(name, error.code.name)
                refuse(context, error)

        return guarded

    def _stream(self, behavior: Callable[..., Any], right: str, method: str) -> Callable[..., Any]:
        _, name = needed_right(method)
        paced = not getattr(behavior, "takes_one", False)
        spares = getattr(behavior, "spares", None)

        def begins(_client: Client) -> bool:
            """Whether a stream is served beyond the limits too, until a call that they hold for."""
            return spares is not None

        @wraps(behavior)
        def guarded(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            try:
                with self._guard.admit(ASKING.get(), right, **self._connection(context), spared=begins) as client:
                    ASKING.set(client)
                    if paced and EXCESS.get() is None:
                        request = self._paced(request, context, spares)
                    yield from behavior(request, context)
            except CallError as error:
                self._metrics.requested(name, error.code.name)
                refuse(context, error)

        return guarded

    def _paced(self, requests: Any, context: grpc.ServicerContext, spares: Callable[[Any], bool] | None) -> Any:
        """A stream of requests, at most at the client's rate; gRPC applies backpressure to the other end.

        Requests exempt from limits are not held up.
        """
        client = ASKING.get()
        for request in requests:
            if client is not None and not (spares is not None and spares(request)):
                while (pause := self._guard.pace(client)) > 0 and context.is_active():
                    time.sleep(min(pause, _LONGEST_PAUSE))
            yield request


def needed_right(method: str) -> tuple[str, str]:
    """The right that a client needs for a method, and the method's own name."""
    _, service, name = method.split("/", 2)
    rights = _RIGHTS.get(service.rpartition(".")[2])
    return "" if rights is None else rights.get(name, _NONE), name


def connection_of(context: grpc.ServicerContext) -> dict[str, Any]:
    """The facts of a call's connection, as ``Guard.admit`` takes those."""
    certificates = context.auth_context().get("x509_pem_cert")
    return {"peer": context.peer(), "certificate": next(iter(certificates), None) if certificates else None}
