"""The gRPC services that every server has: health checking and reflection."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Any, cast

import grpc
from google.protobuf import descriptor_pool
from grpc_health.v1 import health
from grpc_health.v1.health_pb2 import DESCRIPTOR as HEALTH_PROTO
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthServicer, add_HealthServicer_to_server
from grpc_reflection.v1alpha.reflection import ReflectionServicer
from grpc_reflection.v1alpha.reflection_pb2 import DESCRIPTOR as REFLECTION_PROTO
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from google.protobuf.descriptor import FileDescriptor
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message import Message
    from grpc_health.v1.health_pb2 import HealthCheckRequest

_HEALTH = HEALTH_PROTO.services_by_name["Health"].full_name
_REFLECTION = REFLECTION_PROTO.services_by_name["ServerReflection"].full_name
_HEALTH_THREADS = 4
_WATCH_THREADS = 4
_REFLECTION_THREADS = 4


class _Watcher:
    """Tells a watcher what there is to tell, in its order. It may not listen: only a thread of the pool waits for that.

    Args:
        send: tells it, and returns when that has gone out.
        pool: the threads.
    """

    def __init__(self, send: Callable[[HealthCheckResponse | None], None], pool: ThreadPoolExecutor) -> None:
        self._send = send
        self._pool = pool
        self._untold: deque[HealthCheckResponse | None] = deque()
        self._telling = False
        self._guard = threading.Lock()

    def tell(self, response: HealthCheckResponse | None) -> None:
        """Tells it this next; None: that there is nothing more to come."""
        with self._guard:
            self._untold.append(response)
            if self._telling:
                return
            self._telling = True
        with suppress(RuntimeError):  # the server has stopped
            self._pool.submit(self._run)

    def _run(self) -> None:
        while True:
            with self._guard:
                self._telling = bool(self._untold)
                if not self._telling:
                    return
                response = self._untold.popleft()
            self._send(response)


class Health(health.HealthServicer):
    """Health whose watchers can be told that there is nothing more to come, and hold nobody up by not listening.

    A watcher never hangs up, so without that every stop of a watched server would last as long as it may.
    """

    def __init__(self) -> None:
        super().__init__()
        self._watchers: set[Callable[[HealthCheckResponse | None], None]] = set()
        self._ended = False
        self._guard = threading.Lock()
        self._pool = ThreadPoolExecutor(_WATCH_THREADS, thread_name_prefix="watch")

    def Watch(  # noqa: N802 - gRPC's name
        self,
        request: HealthCheckRequest,
        context: grpc.ServicerContext,
        send_response_callback: Any = None,
    ) -> Any:
        """Tells a service's health now and at each change."""
        tell = _Watcher(send_response_callback, self._pool).tell
        with self._guard:
            self._watchers.add(tell)
        if not context.add_callback(lambda: self._forget(tell)):
            self._forget(tell)
        watching = super().Watch(request, context, tell)
        if self._ended:
            tell(None)
        return watching

    def end_watches(self) -> None:
        """Ends every watch, after what it has been told already; those that are still to come as well."""
        self._ended = True
        with self._guard:
            watchers = list(self._watchers)
        for end in watchers:
            end(None)

    def release(self) -> None:
        """Lets the threads go, once the server has stopped."""
        self._pool.shutdown(wait=False)

    def _forget(self, watcher: Callable[[HealthCheckResponse | None], None]) -> None:
        with self._guard:
            self._watchers.discard(watcher)


class _Apart:
    """A servicer whose methods run on threads of their own.

    A call holds its thread until its message has come, and whoever asks for health needs no credentials: strangers that
    send no message would else have the threads that decide calls.

    Args:
        servicer: has the methods.
        pool: the threads.
    """

    def __init__(self, servicer: object, pool: ThreadPoolExecutor) -> None:
        self._servicer = servicer
        self._pool = pool

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._servicer, name)

        @wraps(method)  # what else grpcio looks for in it
        def apart(*arguments: Any) -> Any:
            return method(*arguments)

        apart.experimental_thread_pool = self._pool  # type: ignore[attr-defined]  # where grpcio looks for it
        return apart


class _Descriptors:
    """Descriptors by the names of methods, too, by which some clients ask for the file that has a method's types.

    Args:
        pool: has everything else.
    """

    def __init__(self, pool: DescriptorPool) -> None:
        self._pool = pool

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptor:  # noqa: N802 - protobuf's name
        """The file of a message, an enumeration, a service or a method; KeyError: there is none."""
        try:
            return self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            service, _, method = symbol.rpartition(".")
            found = self._pool.FindServiceByName(service)
            return found.methods_by_name[method].containing_service.file


class Reflection:
    """Reflection on threads of its own, so that idle sessions leave those that decide calls alone.

    Args:
        services: the full names of the services that it tells of.
    """

    def __init__(self, services: Iterable[str]) -> None:
        self._servicer = ReflectionServicer(services, _Descriptors(descriptor_pool.Default()))
        self._sessions: set[grpc.ServicerContext] = set()
        self._ended = False
        self._guard = threading.Lock()
        self._pool = ThreadPoolExecutor(_REFLECTION_THREADS, thread_name_prefix="reflection")

    def add_to(self, server: grpc.Server) -> None:
        """Serves on ``server``."""

        def session(requests: Iterator[ServerReflectionRequest], context: grpc.ServicerContext) -> Iterator[Message]:
            with self._guard:
                if self._ended:  # it waited for a thread all the while
                    return
                self._sessions.add(context)
            if not context.add_callback(lambda: self._forget(context)):
                self._forget(context)
            yield from self._servicer.ServerReflectionInfo(requests, context)

        session.experimental_thread_pool = self._pool  # type: ignore[attr-defined]  # where grpcio looks for it
        handler = grpc.stream_stream_rpc_method_handler(
            session,
            request_deserializer=ServerReflectionRequest.FromString,
            response_serializer=ServerReflectionResponse.SerializeToString,
        )
        methods = {"ServerReflectionInfo": handler}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_REFLECTION, methods),))

    def end_sessions(self) -> None:
        """Ends every session, those that wait for a thread as well."""
        with self._guard:
            self._ended = True
            sessions = list(self._sessions)
        for session in sessions:
            session.cancel()

    def release(self) -> None:
        """Lets the threads go, once the server has stopped."""
        self._pool.shutdown(wait=False)

    def _forget(self, session: grpc.ServicerContext) -> None:
        with self._guard:
            self._sessions.discard(session)


class StandardServices:
    """Health and reflection of a server.

    Args:
        server: where they are served.
        services: the full names of the services that they tell of.
    """

    def __init__(self, server: grpc.Server, services: Sequence[str]) -> None:
        self._services = services
        self._health = Health()
        self._reflection = Reflection([*services, _HEALTH, _REFLECTION])
        self._threads = ThreadPoolExecutor(_HEALTH_THREADS, thread_name_prefix="health")
        add_HealthServicer_to_server(cast("HealthServicer", _Apart(self._health, self._threads)), server)
        self._reflection.add_to(server)

    def set_serving(self, serving: bool) -> None:  # noqa: FBT001 - the state itself, the only argument
        """The server as a whole, and each service, answers calls or does not; without effect once it is stopping."""
        status = HealthCheckResponse.SERVING if serving else HealthCheckResponse.NOT_SERVING
        for service in ("", *self._services):
            self._health.set(service, status)

    def announce_stop(self) -> None:
        """From now on NOT_SERVING, whatever happens."""
        self._health.enter_graceful_shutdown()

    def end_streams(self) -> None:
        """Ends the streams that nobody else would end."""
        self._health.end_watches()
        self._reflection.end_sessions()

    def release(self) -> None:
        """Lets go of what they hold, once the server has stopped."""
        self._threads.shutdown(wait=False)
        self._health.release()
        self._reflection.release()
