"""gRPC's reflection service, in both versions, on separate threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha.reflection import ReflectionServicer
from grpc_reflection.v1alpha.reflection_pb2 import DESCRIPTOR as ALPHA_PROTO
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from google.protobuf.descriptor import FileDescriptor
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message import Message

_ALPHA: Final = ALPHA_PROTO.services_by_name["ServerReflection"].full_name
_V1: Final = _ALPHA.replace(".v1alpha.", ".v1.")
_THREADS = 4


class _Descriptors:
    """Descriptors by the names of methods, too, by which some clients ask for the file that has a method's types.

    Args:
        pool: has everything but the descriptors of version 1 of this service.
    """

    def __init__(self, pool: DescriptorPool) -> None:
        self._pool = pool
        self._own = _pool_of_v1()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def FindFileByName(self, name: str) -> FileDescriptor:  # noqa: N802 - protobuf's name
        """A file; KeyError: there is none."""
        try:
            return self._pool.FindFileByName(name)
        except KeyError:
            return self._own.FindFileByName(name)

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptor:  # noqa: N802 - protobuf's name
        """The file of a message, an enumeration, a service or a method; KeyError: there is none."""
        for pool in (self._pool, self._own):
            try:
                return pool.FindFileContainingSymbol(symbol)
            except KeyError:
                continue
        service, _, method = symbol.rpartition(".")
        found = self._pool.FindServiceByName(service)
        return found.methods_by_name[method].containing_service.file


class Reflection:
    """Reflection on separate threads, so that idle sessions leave the threads of decisions alone.

    Args:
        services: the full names of the services described, besides reflection.

    Attributes:
        pool: the threads.
    """

    def __init__(self, services: Iterable[str]) -> None:
        names = [*services, _V1, _ALPHA]
        self._servicer = ReflectionServicer(names, _Descriptors(descriptor_pool.Default()))
        self._sessions: set[grpc.ServicerContext] = set()
        self._ended = False
        self._lock = threading.Lock()
        self.pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="reflection")

    def add_to(self, server: grpc.Server) -> None:
        """Serves on ``server``. Both versions have the same messages on the wire."""

        def session(requests: Iterator[ServerReflectionRequest], context: grpc.ServicerContext) -> Iterator[Message]:
            with self._lock:
                if self._ended:  # it waited for a thread all the while
                    return
                self._sessions.add(context)
            if not context.add_callback(lambda: self._forget(context)):
                self._forget(context)
            yield from self._servicer.ServerReflectionInfo(requests, context)

        session.experimental_thread_pool = self.pool  # type: ignore[attr-defined]  # where grpcio looks for it
        handler = grpc.stream_stream_rpc_method_handler(
            session,
            request_deserializer=ServerReflectionRequest.FromString,
            response_serializer=ServerReflectionResponse.SerializeToString,
        )
        methods = {"ServerReflectionInfo": handler}
        for service in (_V1, _ALPHA):
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, methods),))

    def end_sessions(self) -> None:
        """Ends every session, those that wait for a thread as well."""
        with self._lock:
            self._ended = True
            sessions = list(self._sessions)
        for session in sessions:
            session.cancel()

    def release(self) -> None:
        """Lets the threads go, once the server has stopped."""
        self.pool.shutdown(wait=False)

    def _forget(self, session: grpc.ServicerContext) -> None:
        with self._lock:
            self._sessions.discard(session)


def _pool_of_v1() -> DescriptorPool:
    """The descriptors of version 1, made from those of v1alpha, of which only the names differ."""
    proto = FileDescriptorProto()
    ALPHA_PROTO.CopyToProto(proto)
    proto.name = proto.name.replace("/v1alpha/", "/v1/")
    proto.package = _V1.rpartition(".")[0]
    for message in proto.message_type:
        for field in message.field:
            if field.type_name:
                field.type_name = field.type_name.replace(".v1alpha.", ".v1.")
    for method in proto.service[0].method:
        method.input_type = method.input_type.replace(".v1alpha.", ".v1.")
        method.output_type = method.output_type.replace(".v1alpha.", ".v1.")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(proto.SerializeToString())
    return pool
