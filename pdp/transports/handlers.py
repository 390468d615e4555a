"""gRPC's handlers of methods: reading, statuses, counting, streams."""

from __future__ import annotations

import time
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NoReturn

import grpc
import structlog
from google.protobuf.message import DecodeError

from pdp.errors import CallError, Code, InvalidCall, TooManyCalls
from pdp.security.identity import EXCESS, ORIGIN, beyond, host_of
from pdp.services.methods import CALLS, Kind, count_calls
from pdp.transports.effort import ClientGone, Efforts
from pdp.transports.guard_interceptor import refuse
from pdp.transports.reception import Reception
from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import ThreadPoolExecutor

    from google.protobuf.message import Message

    from pdp.metrics.registry import Metrics
    from pdp.services.methods import Method
    from pdp.settings import ServerSettings
    from pdp.transports.reception import Receptions
    from pdp.transports.streams import Streams

    _Handler = grpc.RpcMethodHandler[Any, Any]

_log = structlog.get_logger()

MAX_SINGLE_BYTES: Final = 16 * 1024
"""Largest size of a request about one call, in bytes; the longest valid one has a quarter of that."""
_STREAMS_BEYOND: Final = 8
"""Streams of clients beyond their limits that may stand idle; with more, the idle ones end."""
_UNREADABLE = object()
"""A stand-in for an unreadable request, for which grpcio would log a traceback, and answer INTERNAL."""


class Handlers:
    """Makes gRPC's handlers of methods.

    A method of one request gets the stream of messages, and takes the first, after the client is admitted.

    Args:
        settings: the limits.
        metrics: where requests are counted.
        streams: where streams run.
        waiting: pool for methods that may wait for another program, and the pool's number of threads.
        reports: pool for methods that compute for long, and the pool's number of threads.
        receptions: limits the time and size of messages.
        sparing: pool for calls exempt from limits.
        charge: charges a client for further calls in a request; None: no limits.
        peer: returns the address that a call comes from.
    """

    def __init__(  # noqa: PLR0913 - the parts of a transport
        self,
        settings: ServerSettings,
        metrics: Metrics,
        streams: Streams,
        *,
        waiting: tuple[ThreadPoolExecutor, int],
        reports: tuple[ThreadPoolExecutor, int],
        sparing: ThreadPoolExecutor,
        receptions: Receptions,
        charge: Callable[[int], None] | None,
        peer: Callable[[grpc.ServicerContext], str],
    ) -> None:
        self._peer = peer
        self._metrics = metrics
        self._streams = streams
        self._waiting, waiting_threads = waiting
        self._reports, report_threads = reports
        self._sparing = sparing
        self._max_calls = settings.max_calls
        self._charge = charge
        self._efforts = Efforts(charge)

        def reception(threads: int, most: int) -> Reception:
            return receptions.add(
                Reception(
                    threads=threads,
                    most=min(most, settings.max_message_size),
                    seconds=settings.message_timeout,
                    peer=peer,
                )
            )

        self._small = reception(settings.threads, MAX_SINGLE_BYTES)
        self._batch = reception(settings.threads, settings.max_message_size)
        self._aside = reception(waiting_threads, MAX_SINGLE_BYTES)
        self._report = reception(report_threads, MAX_SINGLE_BYTES)
        self._stream_of_answers = reception(settings.max_streams, MAX_SINGLE_BYTES)
        self._beyond = reception(_STREAMS_BEYOND, MAX_SINGLE_BYTES)

    def awaiting(self) -> int:
        """How many threads of the server's own pool wait for a client's message."""
        return self._small.awaited + self._batch.awaited

    def make(self, method: Method) -> _Handler:
        """The handler of a method."""
        if method.kind in (Kind.ONE_TO_MANY, Kind.MANY_TO_MANY):
            read = _reader(method.request) if method.kind is Kind.MANY_TO_MANY else None
            return grpc.stream_stream_rpc_method_handler(self._stream(method), read, _serialize)
        call = self._call(method, _parsing(method))
        if method.kind is Kind.WAITING:
            call.experimental_thread_pool = self._waiting  # type: ignore[attr-defined] # where grpcio looks for it
        elif method.kind is Kind.REPORT:
            call.experimental_thread_pool = self._reports  # type: ignore[attr-defined] # likewise
        return grpc.stream_unary_rpc_method_handler(call)

    def make_spared(self, method: Method, spares: Callable[[bytes], bool], error: TooManyCalls) -> _Handler:
        """The handler of a method for as long as there are too many calls; those that no limit keeps back are answered.

        Args:
            method: the method.
            spares: as ``Method.spares``.
            error: the status of the others.
        """
        answer = _parsing(method)

        def spared(data: bytes) -> bytes:
            if not spares(data):
                raise error
            with beyond(error):
                return answer(data)

        call = self._call(method, spared)
        call.experimental_thread_pool = self._sparing  # type: ignore[attr-defined] # where grpcio looks for it
        return grpc.stream_unary_rpc_method_handler(call)

    def _take(
        self, method: Method, charge: Callable[[int], None] | None = None
    ) -> Callable[[Iterator[bytes], grpc.ServicerContext], bytes]:
        """A function that receives the message of a call, and checks the number of calls inside before parsing."""
        if method.request is v1.CheckCallsRequest:
            take, most = self._batch.take, self._max_calls

            def counted(messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
                data = take(messages, context)
                count = count_calls(data, most)
                if charge is not None and count > 1 and EXCESS.get() is None:
                    charge(count - 1)
                return data

            return counted
        by_kind = {Kind.WAITING: self._aside, Kind.REPORT: self._report, Kind.ONE_TO_MANY: self._stream_of_answers}
        return by_kind.get(method.kind, self._small).take

    def _call(
        self, method: Method, answer: Callable[[bytes], bytes]
    ) -> Callable[[Iterator[bytes], grpc.ServicerContext], bytes]:
        name, spares = method.name, method.spares
        take, take_unpaid = self._take(method, self._charge), self._take(method)
        waits, reports = method.kind is Kind.WAITING, method.kind is Kind.REPORT

        def call(messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
            started = None
            try:
                data = take(messages, context)
                if waits:
                    ORIGIN.set(host_of(self._peer(context)))
                started = time.perf_counter()
                response = self._efforts.run(lambda: answer(data), context.is_active) if reports else answer(data)
            except grpc.RpcError:  # the client went away, or its message did not come
                self._metrics.requested(name, "CANCELLED")
                raise
            except Exception as error:  # noqa: BLE001 - any error gives the client a status
                self._refuse(name, context, error, time.perf_counter() - started if started is not None else None)
            self._metrics.requested(name, "OK", time.perf_counter() - started)
            return response

        def take_spared(messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes | None:
            """The message of a call exempt from limits; None for other calls, which are not charged for."""
            data = take_unpaid(messages, context)
            return data if spares is not None and spares(data) else None

        call.take_spared = take_spared if spares is not None else None  # type: ignore[attr-defined] # for the guard
        call.takes_one = True  # type: ignore[attr-defined] # for the guard: its messages are not calls of a stream
        return call

    def _stream(self, method: Method) -> Callable[[Any, grpc.ServicerContext], Iterator[Message]]:
        name, streams = method.name, self._streams
        take, read = self._take(method), _parser(method)

        def session(asked: Any, context: grpc.ServicerContext) -> Iterator[Message]:
            try:
                stream = streams.enter(context)
                if method.kind is Kind.MANY_TO_MANY:
                    within = asked if EXCESS.get() is None else self._beyond.take_all(asked, context)
                    asked = stream.requests(within, _UNREADABLE)
                else:
                    stream.idle = False
                    asked = read(take(asked, context))
                responses = iter(method.answer(asked))
                if method.kind is Kind.ONE_TO_MANY:  # most of the work is done before the first
                    responses = chain((self._efforts.run(lambda: next(responses), context.is_active),), responses)
                for response in responses:
                    if method.kind is Kind.MANY_TO_MANY:  # it lasts as long as its client likes; each answer is timed
                        self._metrics.answered(name, time.perf_counter() - stream.since)
                    yield response
                    if method.kind is Kind.MANY_TO_MANY:  # a single response may finish, requests have no end
                        streams.check_serving()
                if method.kind is Kind.ONE_TO_MANY:
                    self._metrics.answered(name, time.perf_counter() - stream.since)
            except (grpc.RpcError, GeneratorExit):  # the client went away, between requests or between responses
                self._metrics.requested(name, "CANCELLED")
                raise
            except Exception as error:  # noqa: BLE001 - as above
                self._refuse(name, context, error)
            self._metrics.requested(name, "OK" if context.is_active() else "CANCELLED")

        session.spares = _readable(method.spares)  # type: ignore[attr-defined] # for the guard
        session.takes_one = method.kind is Kind.ONE_TO_MANY  # type: ignore[attr-defined] # as above
        session.experimental_thread_pool = streams.pool  # type: ignore[attr-defined] # where grpcio looks for it
        return session

    def _refuse(
        self, name: str, context: grpc.ServicerContext, error: Exception, seconds: float | None = None
    ) -> NoReturn:
        """Ends a call with a status; an unexpected error goes to the log and not to the client."""
        if isinstance(error, CallError):
            if isinstance(error, TooManyCalls):
                self._metrics.rejected(error.reason)
            self._metrics.requested(name, error.code.name, seconds)
            refuse(context, error)
        if isinstance(error, ClientGone):
            self._metrics.requested(name, "CANCELLED", seconds)
            context.abort(grpc.StatusCode.CANCELLED, "the client has gone")
        _log.error("call_failed", method=name, exc_info=True)
        self._metrics.requested(name, Code.INTERNAL.name, seconds)
        context.abort(grpc.StatusCode.INTERNAL, "internal error")


def _readable(spares: Callable[[Any], bool] | None) -> Callable[[object], bool] | None:
    """Whether a request of a stream is exempt from limits, where it can be read; None: no such method."""
    if spares is None:
        return None
    return lambda request: request is not _UNREADABLE and spares(request)


def _parsing(method: Method) -> Callable[[bytes], bytes]:
    """Makes the response's bytes from the request's, by way of messages."""
    read, answer = _parser(method), method.answer

    def parsing(data: bytes) -> bytes:
        response: bytes = answer(read(data)).SerializeToString()
        return response

    return parsing


def _parser(method: Method) -> Callable[[bytes], Any]:
    read = method.request.FromString

    def parser(data: bytes) -> Any:
        try:
            request = read(data)
        except DecodeError:
            raise InvalidCall(f"the request's bytes are no {method.request.DESCRIPTOR.full_name}") from None
        CALLS.set(len(getattr(request, "calls", ())))
        return request

    return parser


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
