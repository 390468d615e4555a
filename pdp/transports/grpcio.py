"""The services over gRPC, served by grpcio: threads, limits, statuses, and a stop that loses no call."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc

from pdp.errors import ListenError
from pdp.runtime.address import UNIX, Address, check_free, check_unix_free, parse_address
from pdp.services.methods import Kind
from pdp.transports.admission import Admission, overload
from pdp.transports.guard_interceptor import GuardInterceptor, Refuser, connection_of
from pdp.transports.handlers import Handlers
from pdp.transports.health_reflection import StandardServices
from pdp.transports.pause import Pause
from pdp.transports.reception import Receptions
from pdp.transports.streams import Streams
from pdp.transports.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pdp.metrics.registry import Metrics
    from pdp.security.guard import Guard
    from pdp.services.methods import Method
    from pdp.settings import ServerSettings

_MIN_PING_INTERVAL_MS = 10_000
"""Smallest interval of clients' keepalive pings; gRPC's five minutes are too long."""
SETTLE_SECONDS = 0.1
"""Time in which health checkers read that the server stops, before GOAWAY."""
_THREADS = "grpc"
"""The prefix of the names of the threads that decide."""
_WAITING_THREADS = 4
"""Threads for methods that wait for another program: if that program hangs, only these methods hang."""
_SPARING_THREADS = 2
"""Threads for calls to emergency numbers during an overload."""
_REPORT_THREADS = 2
"""Threads for methods that compute for long: decisions need the processor as well."""
_WINDOW_BYTES = 4 * 1024
"""Bytes buffered for each stream not yet read; gRPC's core holds this much, and by default megabytes."""


class GrpcTransport:
    """Serves methods on one address.

    Args:
        settings: the address, and the limits.
        methods: the methods served.
        metrics: where requests are counted.
        interceptors: see each call first, in order.
        guard: admits calls; None: every call is admitted.
        credentials: credentials for the listener; None: no TLS.
        connection: facts of a call's connection, where a front reports those; as of ``GuardInterceptor``.
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
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix=_THREADS)
        self._waiting = ThreadPoolExecutor(_WAITING_THREADS, thread_name_prefix="waiting")
        self._reports = ThreadPoolExecutor(_REPORT_THREADS, thread_name_prefix="report")
        self._sparing = ThreadPoolExecutor(_SPARING_THREADS, thread_name_prefix="sparing")
        self._streams = Streams(settings.max_streams)
        self._credentials = credentials
        self._refuser = Refuser()
        self._receptions = Receptions()
        self._admission = Admission(self._pool, settings.max_waiting, self._refuser, metrics)
        # The guard wraps each handler once, so it must see the same ones again: what makes new ones comes before it.
        guards = [GuardInterceptor(guard, self._refuser, metrics, connection)] if guard is not None else []
        self._server = grpc.server(
            self._pool, interceptors=[*interceptors, *guards, self._admission], options=_options(settings)
        )

        def peer(context: grpc.ServicerContext) -> str:
            address: str = (connection or connection_of)(context)["peer"]
            return address

        handlers = Handlers(
            settings,
            metrics,
            self._streams,
            waiting=(self._waiting, _WAITING_THREADS),
            reports=(self._reports, _REPORT_THREADS),
            sparing=self._sparing,
            receptions=self._receptions,
            charge=guard.charge if guard is not None else None,
            peer=peer,
        )
        self._server.add_generic_rpc_handlers((_Methods(methods, handlers),))
        self._admission.spared = {
            _path(method): handlers.make_spared(method, method.spares, overload())
            for method in methods
            if method.spares is not None and method.kind is not Kind.MANY_TO_MANY
        }
        services = sorted({method.service for method in methods})
        self._standard = StandardServices(self._server, services, self._receptions, metrics, peer)
        self._watchdog = Watchdog(self._pool, _THREADS, lambda: handlers.awaiting() >= settings.threads)
        metrics.watch_threads(lambda: self._watchdog.stuck)
        self.set_serving = self._standard.set_serving
        """Sets the status of health checks."""
        self.announce_stop = self._standard.announce_stop
        """Sets the status of health checks and watches to NOT_SERVING."""

    def start(self) -> None:
        """Listens and serves; from then on ``address`` names the real port.

        Raises:
            ListenError: the address cannot be listened on.
        """
        self.address = self._listen(self._settings.listen)
        self._server.start()
        self._receptions.start()
        self._watchdog.start()

    def stop(self) -> None:
        """Sets NOT_SERVING, serves on for load balancers, sends GOAWAY, ends calls in flight."""
        self._standard.announce_stop()
        self._watchdog.stop()
        time.sleep(max(self._settings.drain_delay, SETTLE_SECONDS))
        pools = (self._pool, self._settings.threads), (self._waiting, _WAITING_THREADS)
        pause = Pause(pools, lambda: self._admission.arrived)
        pause.await_quiet()
        stopped = self._server.stop(self._settings.drain_seconds)
        pause.end()
        self._streams.end()
        self._standard.end_streams()
        stopped.wait()
        self._standard.release()
        self._streams.release()
        self._refuser.release()
        self._receptions.stop()
        for pool in (self._pool, self._waiting, self._reports, self._sparing):
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
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", _WINDOW_BYTES),
        ("grpc.keepalive_time_ms", int(settings.keepalive_time * 1000)),
        ("grpc.keepalive_timeout_ms", int(settings.keepalive_timeout * 1000)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", _MIN_PING_INTERVAL_MS),
        *((name, value) for name, value in limits.items() if value),
    ]


class _Methods(grpc.GenericRpcHandler):
    """The handlers of methods by path."""

    def __init__(self, methods: Sequence[Method], handlers: Handlers) -> None:
        self._handlers = {_path(method): handlers.make(method) for method in methods}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The handler of a call that arrives; None: there is no such method here."""
        return self._handlers.get(handler_call_details.method)


def _path(method: Method) -> str:
    return f"/{method.service}/{method.name}"
