"""The services over gRPC, served by grpcio: threads, limits, statuses, and a stop that loses no call."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
import structlog
from google.protobuf.message import DecodeError

from pdp.address import Address, check_free, parse_address
from pdp.errors import CallError, Code, InvalidCall, ListenError, Stopping
from pdp.standard import StandardServices

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from google.protobuf.message import Message

    from pdp.metrics import Metrics
    from pdp.service import Method
    from pdp.settings import ServerSettings

    _Handler = grpc.RpcMethodHandler[Any, Any]

_log = structlog.get_logger()

_MIN_PING_INTERVAL_MS = 10_000
"""Clients may ask more often than gRPC's five minutes whether the server lives; at most this often."""
_SETTLE_SECONDS = 0.1
"""What a call sent before the stop may need to reach us."""
_QUIET_SECONDS = 0.05
"""With no call for so long, clients know that they are refused."""
_MAX_REFUSING_SECONDS = 1.0
"""For clients that never give up."""
_STATUSES = {code: next(status for status in grpc.StatusCode if status.value[0] == code) for code in Code}
_UNIX = "unix:"


class GrpcTransport:
    """Serves methods on one address.

    Args:
        settings: the address, and the limits.
        methods: what is served.
        metrics: where requests are counted.
    """

    def __init__(self, settings: ServerSettings, methods: Sequence[Method], metrics: Metrics) -> None:
        self.address = settings.listen
        self._settings = settings
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="grpc")
        self._server = grpc.server(self._pool, options=_options(settings))
        self._door = _Door(methods, metrics)
        self._server.add_generic_rpc_handlers((self._door,))
        self._standard = StandardServices(self._server, sorted({method.service for method in methods}))
        self.set_serving = self._standard.set_serving
        """Tells health checks whether calls are answered."""

    def start(self) -> None:
        """Listens and serves; from then on ``address`` names the real port.

        Raises:
            ListenError: the address cannot be listened on.
        """
        self.address = self._listen(self._settings.listen)
        self._server.start()

    def stop(self) -> None:
        """Tells health checks, waits for load balancers, takes no more calls, and ends those in flight.

        When gRPC's core is told to stop, it cancels what it has not handed over yet, and what clients send until they
        know. So it is told only when nothing comes any more: calls are first answered, then refused with a status that
        clients may retry.
        """
        self._standard.announce_stop()
        time.sleep(max(self._settings.drain_delay, _SETTLE_SECONDS))
        self._door.close()
        stopped = self._server.stop(self._settings.drain_seconds)
        self._standard.end_streams()
        stopped.wait()
        self._standard.release()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _listen(self, text: str) -> str:
        if text.startswith(_UNIX):
            _check_unix_free(text)
            self._bind(text)
            return text
        address = parse_address(text)
        if address.port:
            check_free(address)
        port = self._bind(str(address if address.host else Address("::", address.port)))
        return str(Address(address.host or "localhost", port))

    def _bind(self, address: str) -> int:
        try:
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


class _Door(grpc.GenericRpcHandler):
    """Where calls come in. grpcio asks it for a handler when a call arrives, long before a thread is free for it."""

    def __init__(self, methods: Sequence[Method], metrics: Metrics) -> None:
        self._open = {f"/{method.service}/{method.name}": _handler(method, metrics) for method in methods}
        self._closed = {
            f"/{method.service}/{method.name}": _handler(method._replace(answer=_refuse), metrics) for method in methods
        }
        self._handlers = self._open
        self._refused = 0

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> _Handler | None:
        """The handler of a call that arrives; None: there is no such method here."""
        handlers = self._handlers
        if handlers is self._closed:
            self._refused += 1
        return handlers.get(handler_call_details.method)

    def close(self) -> None:
        """Refuses whatever arrives from now on; returns when nothing does any more."""
        self._handlers = self._closed
        deadline = time.monotonic() + _MAX_REFUSING_SECONDS
        seen = -1
        while seen != self._refused and time.monotonic() < deadline:
            seen = self._refused
            time.sleep(_QUIET_SECONDS)


def _refuse(_request: object) -> NoReturn:
    raise Stopping


_UNREADABLE = object()
"""In place of a request whose bytes are none. grpcio would log a traceback for each, and answer INTERNAL."""


def _handler(method: Method, metrics: Metrics) -> _Handler:
    name = method.name

    def refuse(context: grpc.ServicerContext, error: CallError) -> NoReturn:
        metrics.requested(name, error.code.name)
        context.abort(_STATUSES[error.code], error.message)

    def call(request: Any, context: grpc.ServicerContext) -> Message:
        if request is _UNREADABLE:
            refuse(context, InvalidCall(f"the request's bytes are no {method.request.DESCRIPTOR.full_name}"))
        try:
            response = method.answer(request)
        except CallError as error:
            refuse(context, error)
        except Exception:  # noqa: BLE001 - whatever it is, the client gets a status and the log the traceback
            _log.exception("call_failed", method=name)
            metrics.requested(name, Code.INTERNAL.name)
            context.abort(grpc.StatusCode.INTERNAL, "internal error")
        metrics.requested(name, "OK")
        return response

    return grpc.unary_unary_rpc_method_handler(
        call,
        request_deserializer=_reader(method.request),
        response_serializer=_serialize,
    )


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


def _check_unix_free(text: str) -> None:
    """Whether nobody answers on a socket file; gRPC would take it over from a server that runs."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(text.removeprefix(_UNIX).removeprefix("//"))
        except OSError:
            return
    raise ListenError(text, "a server listens there already; stop it, or choose another path")
