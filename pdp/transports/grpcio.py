"""The services over gRPC, served by grpcio: threads, limits, statuses, and a stop that loses no call."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
import structlog
from google.protobuf.message import DecodeError

from pdp.errors import CallError, Code, InvalidCall, ListenError, TooManyCalls
from pdp.runtime.address import UNIX, Address, check_free, check_unix_free, parse_address
from pdp.services.methods import Kind
from pdp.transports.guard_interceptor import GuardInterceptor, Refuser
from pdp.transports.health_reflection import StandardServices
from pdp.transports.pause import Pause
from pdp.transports.streams import Streams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from google.protobuf.message import Message

    from pdp.metrics.registry import Metrics
    from pdp.security.guard import Guard
    from pdp.services.methods import Method
    from pdp.settings import ServerSettings

    _Handler = grpc.RpcMethodHandler[Any, Any]

_log = structlog.get_logger()

_MIN_PING_INTERVAL_MS = 10_000
"""Clients may ask more often than gRPC's five minutes whether the server lives; at most this often."""
SETTLE_SECONDS = 0.1
"""Time in which health checkers read that the server stops, before GOAWAY."""
_STATUSES = {code: next(status for status in grpc.StatusCode if status.value[0] == code) for code in Code}
_OVERLOAD_SECONDS = 0.25
"""When it is worth asking an overloaded server again."""
_WAITING_THREADS = 4
"""For methods that wait for another program: if it hangs, so do these, and no others."""


class GrpcTransport:
    """Serves methods on one address.

    Args:
        settings: the address, and the limits.
        methods: what is served.
        metrics: where requests are counted.
        interceptors: look at each call first, in their order.
        guard: decides which calls are taken; None: all of them are.
        credentials: what to listen with; None: without TLS.
        connection: what is known of a call's connection, where that is for a front to say; as of ``GuardInterceptor``.
    """

    def __init__(
        self,
        settings: ServerSettings,
        methods: Sequence[Method],
        metrics: Metrics,
        *,
        interceptors: Sequence[grpc.ServerInterceptor] = (),
        guard: Guard | None = None,
        credentials: grpc.ServerCredentials | None = None,
        connection: Callable[[grpc.ServicerContext], dict[str, Any]] | None = None,
    ) -> None:
        self.address = settings.listen
        self._settings = settings
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="grpc")
        self._credentials = credentials
        self._refuser = Refuser()
        # The guard comes last: it wraps each handler once, so it must see the same ones again.
        guards = [GuardInterceptor(guard, self._refuser, metrics, connection)] if guard is not None else []
        self._server = grpc.server(self._pool, interceptors=[*interceptors, *guards], options=_options(settings))
        self._waiting = ThreadPoolExecutor(_WAITING_THREADS, thread_name_prefix="waiting")
        self._streams = Streams(settings.max_streams)
        admission = _Admission(self._pool, settings.max_waiting, self._refuser, metrics)
        self._door = _Door(methods, _Handlers(metrics, self._streams, self._waiting), admission)
        self._server.add_generic_rpc_handlers((self._door,))
        self._standard = StandardServices(self._server, sorted({method.service for method in methods}))
        self.set_serving = self._standard.set_serving
        """Tells health checks whether calls are answered."""
        self.announce_stop = self._standard.announce_stop
        """Tells health checks, and those who watch, that the server stops."""

    def start(self) -> None:
        """Listens and serves; from then on ``address`` names the real port.

        Raises:
            ListenError: the address cannot be listened on.
        """
        self.address = self._listen(self._settings.listen)
        self._server.start()

    def stop(self) -> None:
        """Tells health checks, serves on for load balancers, tells clients to go elsewhere, ends calls in flight."""
        self._standard.announce_stop()
        time.sleep(max(self._settings.drain_delay, SETTLE_SECONDS))
        pools = (self._pool, self._settings.threads), (self._waiting, _WAITING_THREADS)
        pause = Pause(pools, lambda: self._door.arrived)
        pause.await_quiet()
        stopped = self._server.stop(self._settings.drain_seconds)
        pause.end()
        self._streams.end()
        self._standard.end_streams()
        stopped.wait()
        self._standard.release()
        self._streams.release()
        self._refuser.release()
        for pool in (self._pool, self._waiting):
            pool.shutdown(wait=False, cancel_futures=True)

    def _listen(self, text: str) -> str:
        if text.startswith(UNIX):
            check_unix_free(text)
            self._bind(text)
            return text
        address = parse_address(text)
        if address.port:
            check_free(address)
        port = self._bind(str(address if address.host else Address("::", address.port)))
        return str(Address(address.host or "localhost", port))

    def _bind(self, address: str) -> int:
        try:
            if self._credentials is not None:
                port = self._server.add_secure_port(address, self._credentials)
            else:
                port = self._server.add_insecure_port(address)
        except RuntimeError:
            port = 0
        if not port:
            raise ListenError(address, "the operating system refused; check that the address is free and allowed")
        return port


def _options(settings: ServerSettings) -> list[tuple[str, Any]]:
    """Channel arguments; gRPC takes no limit to be meant where one is absent."""
    limits = {
        "grpc.max_connection_idle_ms": int(settings.max_connection_idle * 1000),
        "grpc.max_connection_age_ms": int(settings.max_connection_age * 1000),
        "grpc.max_connection_age_grace_ms": int(settings.max_connection_age_grace * 1000),
        "grpc.max_concurrent_streams": settings.max_concurrent_streams,
        "grpc.max_allowed_incoming_connections": settings.max_connections,
        "grpc.max_metadata_size": settings.max_metadata_size,
        "grpc.absolute_max_metadata_size": settings.max_metadata_size,
    }
    return [
        ("grpc.so_reuseport", 0),  # two servers on one port by mistake would share the calls, unnoticed
        ("grpc.max_receive_message_length", settings.max_message_size),
        ("grpc.keepalive_time_ms", int(settings.keepalive_time * 1000)),
        ("grpc.keepalive_timeout_ms", int(settings.keepalive_timeout * 1000)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", _MIN_PING_INTERVAL_MS),
        *((name, value) for name, value in limits.items() if value),
    ]


class _Admission:
    """Refuses calls while too many wait already: those would be answered too late, and the others later for them.

    Args:
        pool: whose queue they would wait in.
        most: that may wait; 0: as many as come.
        refuser: answers those that are refused.
        metrics: where they are counted.
    """

    def __init__(self, pool: ThreadPoolExecutor, most: int, refuser: Refuser, metrics: Metrics) -> None:
        self._waiting = pool._work_queue.qsize  # noqa: SLF001 - the pool does not say; a counter of our own would cost
        self._pool = pool
        self._most = most or sys.maxsize
        self._refuser = refuser
        self._metrics = metrics

    def check(self, handler: _Handler, method: str) -> _Handler:
        """The handler, or in its place one that refuses."""
        if self._waiting() < self._most or not self._has_pool(handler):
            return handler
        error = TooManyCalls("overload", _OVERLOAD_SECONDS)
        self._metrics.rejected(error.reason)
        self._metrics.requested(method.rpartition("/")[2], error.code.name)
        return self._refuser.handler(error)

    def _has_pool(self, handler: _Handler) -> bool:
        """Whether the handler's calls wait in this pool; streams and the like have their own."""
        return handler.unary_unary is not None and not hasattr(handler.unary_unary, "experimental_thread_pool")


class _Door(grpc.GenericRpcHandler):
    """Where calls come in. grpcio asks it for a handler when a call arrives, long before a thread is free for it.

    Attributes:
        arrived: calls so far.
    """

    def __init__(self, methods: Sequence[Method], handlers: _Handlers, admission: _Admission) -> None:
        self._admit = admission.check
        self._handlers = {f"/{method.service}/{method.name}": handlers.make(method) for method in methods}
        self.arrived = 0

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> _Handler | None:
        """The handler of a call that arrives; None: there is no such method here."""
        self.arrived += 1
        method = handler_call_details.method
        handler = self._handlers.get(method)
        return self._admit(handler, method) if handler is not None else None


_UNREADABLE = object()
"""In place of a request whose bytes are none. grpcio would log a traceback for each, and answer INTERNAL."""


class _Handlers:
    """Makes gRPC's handlers of methods.

    Args:
        metrics: where requests are counted.
        streams: where streams run.
        waiting: where methods run that may wait for another program.
    """

    def __init__(self, metrics: Metrics, streams: Streams, waiting: ThreadPoolExecutor) -> None:
        self._metrics = metrics
        self._streams = streams
        self._waiting = waiting

    def make(self, method: Method) -> _Handler:
        """The handler of a method."""
        if method.raw is not None:
            return grpc.unary_unary_rpc_method_handler(self._raw(method.name, method.raw))
        read = _reader(method.request)
        if method.kind is Kind.ONE_TO_MANY:
            return grpc.unary_stream_rpc_method_handler(self._stream(method), read, _serialize)
        if method.kind is Kind.MANY_TO_MANY:
            return grpc.stream_stream_rpc_method_handler(self._stream(method), read, _serialize)
        call = self._call(method)
        if method.kind is Kind.WAITING:
            call.experimental_thread_pool = self._waiting  # type: ignore[attr-defined] # where grpcio looks for it
        elif method.kind is Kind.REPORT:
            call.experimental_thread_pool = self._streams.pool  # type: ignore[attr-defined] # likewise
        return grpc.unary_unary_rpc_method_handler(call, read, _serialize)

    def _raw(self, name: str, answer: Callable[[bytes], bytes]) -> Callable[[bytes, grpc.ServicerContext], bytes]:
        def call(request: bytes, context: grpc.ServicerContext) -> bytes:
            started = time.perf_counter()
            try:
                return answer(request)
            except Exception as error:  # noqa: BLE001 - whatever it is, the client gets a status
                self._refuse(name, context, error, time.perf_counter() - started)

        return call

    def _call(self, method: Method) -> Callable[[Any, grpc.ServicerContext], Any]:
        name = method.name

        def call(request: Any, context: grpc.ServicerContext) -> Any:
            started = time.perf_counter()
            try:
                response = method.answer(_readable(request, method))
            except Exception as error:  # noqa: BLE001 - whatever it is, the client gets a status
                self._refuse(name, context, error, time.perf_counter() - started)
            self._metrics.requested(name, "OK", time.perf_counter() - started)
            return response

        return call

    def _stream(self, method: Method) -> Callable[[Any, grpc.ServicerContext], Iterator[Message]]:
        name, streams = method.name, self._streams

        def session(asked: Any, context: grpc.ServicerContext) -> Iterator[Message]:
            try:
                stream = streams.enter(context)
                if method.kind is Kind.MANY_TO_MANY:
                    asked = stream.requests(asked, _UNREADABLE)
                else:
                    stream.idle = False
                    asked = _readable(asked, method)
                for response in method.answer(asked):
                    if method.kind is Kind.MANY_TO_MANY:  # it lasts as long as its client likes; each answer is timed
                        self._metrics.answered(name, time.perf_counter() - stream.since)
                    yield response
                    if method.kind is Kind.MANY_TO_MANY:  # one answer is let finish, questions have no end
                        streams.check_serving()
                if method.kind is Kind.ONE_TO_MANY:
                    self._metrics.answered(name, time.perf_counter() - stream.since)
            except (grpc.RpcError, GeneratorExit):  # the client went away, between requests or between responses
                self._metrics.requested(name, "CANCELLED")
                raise
            except Exception as error:  # noqa: BLE001 - as above
                self._refuse(name, context, error)
            self._metrics.requested(name, "OK" if context.is_active() else "CANCELLED")

        session.experimental_thread_pool = streams.pool  # type: ignore[attr-defined] # where grpcio looks for it
        return session

    def _refuse(
        self, name: str, context: grpc.ServicerContext, error: Exception, seconds: float | None = None
    ) -> NoReturn:
        """Ends a call with a status; where the error is none of ours, the log has it and the client does not."""
        if isinstance(error, CallError):
            self._metrics.requested(name, error.code.name, seconds)
            context.abort(_STATUSES[error.code], error.message)
        _log.error("call_failed", method=name, exc_info=True)
        self._metrics.requested(name, Code.INTERNAL.name, seconds)
        context.abort(grpc.StatusCode.INTERNAL, "internal error")


def _readable(request: Any, method: Method) -> Any:
    """The request, unless its bytes are none."""
    if request is _UNREADABLE:
        raise InvalidCall(f"the request's bytes are no {method.request.DESCRIPTOR.full_name}")
    return request


def _serialize(response: Message) -> bytes:
    return response.SerializeToString()


def _reader(message: type[Message]) -> Callable[[bytes], object]:
    read = message.FromString

    def reader(data: bytes) -> object:
        try:
            return read(data)
        except DecodeError:
            return _UNREADABLE

    return reader
