"""gRPC's health service: known names only, a bounded number of watches, and messages of a bounded size.

Clients need no credentials, so nothing that a client sends is kept, and no thread of decisions waits for a client.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1.health_pb2 import DESCRIPTOR as HEALTH_PROTO
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from pdp.errors import CallError, InvalidCall, TooManyCalls, UnknownService
from pdp.transports.guard_interceptor import refuse
from pdp.transports.reception import Reception, host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pdp.metrics.registry import Metrics

    _Send = Callable[[HealthCheckResponse | None], None]

HEALTH = HEALTH_PROTO.services_by_name["Health"].full_name
MAX_BYTES = 1024
"""Largest size of a request, which holds the name of a service."""
_THREADS = 4
_PER_PEER = 3
"""Requests of one address that may be awaited; a checker sends one after the other."""
_WATCH_THREADS = 4
_MAX_WATCHES = 1024
_WATCHES_PER_PEER = 128
_MESSAGE_SECONDS = 2.0
_RETRY_SECONDS = 1.0


class _Watcher:
    """Sends statuses to one watcher in order. For a watcher that does not read, only a thread of the pool waits.

    Args:
        peer: the address of the watcher; empty: no address.
        send: sends one status, and returns when sent.
        pool: the threads.
    """

    def __init__(self, peer: str, send: _Send, pool: ThreadPoolExecutor) -> None:
        self.peer = peer
        self._send = send
        self._pool = pool
        self._untold: deque[HealthCheckResponse | None] = deque()
        self._telling = False
        self._lock = threading.Lock()

    def tell(self, response: HealthCheckResponse | None) -> None:
        """Sends a status next; None: the end of the watch."""
        with self._lock:
            if response is not None and len(self._untold) > 1:  # unread ones before the newest tell nothing
                self._untold.pop()
            self._untold.append(response)
            if self._telling:
                return
            self._telling = True
        with suppress(RuntimeError):  # the server has stopped
            self._pool.submit(self._run)

    def _run(self) -> None:
        while True:
            with self._lock:
                self._telling = bool(self._untold)
                if not self._telling:
                    return
                response = self._untold.popleft()
            self._send(response)


class Health:
    """The health of a server and its services, which share one status.

    Args:
        services: full names of the services; the empty name, of the server, is known besides.
        metrics: where rejected requests are counted.
        peer: returns the address that a call comes from, in gRPC's form.

    Attributes:
        reception: receives the requests.
        pool: the threads that requests wait on.
    """

    def __init__(self, services: Sequence[str], metrics: Metrics, peer: Callable[[grpc.ServicerContext], str]) -> None:
        self._metrics = metrics
        self._peer = peer
        self.reception = Reception(
            threads=_THREADS, most=MAX_BYTES, seconds=_MESSAGE_SECONDS, per_peer=_PER_PEER, peer=peer
        )
        self.pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="health")
        self._names = frozenset(("", *services))
        self._serving = True
        self._stopping = False
        self._ended = False
        self._watchers: set[_Watcher] = set()
        self._lock = threading.Lock()
        self._watch_pool = ThreadPoolExecutor(_WATCH_THREADS, thread_name_prefix="watch")

    def add_to(self, server: grpc.Server) -> None:
        """Serves on ``server``."""

        def check(requests: Iterator[bytes], context: grpc.ServicerContext) -> HealthCheckResponse:
            try:
                self._read(requests, context)
            except CallError as error:
                self._reject(context, error)
            return _response(serving=self._serving)

        def watch(requests: Iterator[bytes], context: grpc.ServicerContext, send_response_callback: Any) -> None:
            try:
                self._read(requests, context)
                self._watch(context, send_response_callback)
            except CallError as error:
                self._reject(context, error)

        check.experimental_thread_pool = self.pool  # type: ignore[attr-defined] # where grpcio looks for it
        watch.experimental_thread_pool = self.pool  # type: ignore[attr-defined] # likewise
        watch.experimental_non_blocking = True  # type: ignore[attr-defined] # likewise
        methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "Check": grpc.stream_unary_rpc_method_handler(check, None, _serialize),
            "Watch": grpc.stream_stream_rpc_method_handler(watch, None, _serialize),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(HEALTH, methods),))

    def set(self, *, serving: bool) -> None:
        """Sets the status of all names; without effect once the server is stopping."""
        with self._lock:
            if not self._stopping:
                self._change(serving=serving)

    def announce_stop(self) -> None:
        """Sets NOT_SERVING for good."""
        with self._lock:
            self._stopping = True
            self._change(serving=False)

    def end_watches(self) -> None:
        """Ends every watch after the last status sent; watches that are still to come as well."""
        with self._lock:
            self._ended = True
            watchers = list(self._watchers)
        for watcher in watchers:
            watcher.tell(None)

    def release(self) -> None:
        """Lets the threads go, once the server has stopped."""
        self.pool.shutdown(wait=False)
        self._watch_pool.shutdown(wait=False)

    def _reject(self, context: grpc.ServicerContext, error: CallError) -> NoReturn:
        if isinstance(error, TooManyCalls):
            self._metrics.rejected(error.reason)
        refuse(context, error)

    def _change(self, *, serving: bool) -> None:
        if serving != self._serving:
            self._serving = serving
            for watcher in self._watchers:
                watcher.tell(_response(serving=serving))

    def _read(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> None:
        """Receives a request.

        Raises:
            CallError: the request cannot be read, or names a service that is not here.
        """
        data = self.reception.take(requests, context)
        try:
            name = HealthCheckRequest.FromString(data).service
        except DecodeError:
            raise InvalidCall("the request's bytes are no grpc.health.v1.HealthCheckRequest") from None
        if name not in self._names:
            raise UnknownService

    def _watch(self, context: grpc.ServicerContext, send: _Send) -> None:
        watcher = _Watcher(host(self._peer(context)), send, self._watch_pool)
        with self._lock:
            peers = sum(1 for other in self._watchers if watcher.peer and other.peer == watcher.peer)
            if peers >= _WATCHES_PER_PEER or len(self._watchers) >= _MAX_WATCHES:
                raise TooManyCalls("watches", _RETRY_SECONDS)
            self._watchers.add(watcher)
            watcher.tell(_response(serving=self._serving))
            ended = self._ended
        if not context.add_callback(lambda: self._forget(watcher)):  # its client is gone already
            self._forget(watcher)
        if ended:
            watcher.tell(None)

    def _forget(self, watcher: _Watcher) -> None:
        with self._lock:
            self._watchers.discard(watcher)
        watcher.tell(None)


def _response(*, serving: bool) -> HealthCheckResponse:
    return HealthCheckResponse(status=HealthCheckResponse.SERVING if serving else HealthCheckResponse.NOT_SERVING)


def _serialize(response: HealthCheckResponse) -> bytes:
    return response.SerializeToString()
