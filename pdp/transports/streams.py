"""Streams, on separate threads, so that idle streams leave the threads of decisions alone.

An open stream holds a thread, so the number of streams is limited. A stopping server ends each stream after the
responses to the requests already read; streams that wait for a request are cancelled, and a long response may finish.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from pdp.errors import Stopping, TooManyStreams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import grpc

_REFUSING_THREADS = 2
"""Threads beyond those for streams, to reject further streams."""
_QUIET_SECONDS = 0.05
"""Seconds that a request sent before the stop may need to arrive."""


class Stream:
    """An open stream.

    Attributes:
        idle: whether the stream waits for a request.
        since: start of work on the last request, by ``time.perf_counter``.
    """

    def __init__(self, context: grpc.ServicerContext) -> None:
        self.cancel = context.cancel
        self.idle = True
        self.since = time.perf_counter()

    def requests(self, requests: Iterable[Any], unreadable: object) -> Iterator[Any]:
        """The requests as received; None in place of one that is ``unreadable``."""
        for request in requests:
            self.idle = False
            self.since = time.perf_counter()
            yield None if request is unreadable else request
            self.idle = True


class Streams:
    """The streams of a server.

    Args:
        most: largest number of open streams.

    Attributes:
        pool: the streams' threads.
    """

    def __init__(self, most: int) -> None:
        self.pool = ThreadPoolExecutor(most + _REFUSING_THREADS, thread_name_prefix="stream")
        self._most = most
        self._open: set[Stream] = set()
        self._ended = False
        self._lock = threading.Lock()

    def enter(self, context: grpc.ServicerContext) -> Stream:
        """Adds a stream until the end of the call.

        Raises:
            TooManyStreams: the largest number of streams is open.
            Stopping: the server stops.
        """
        stream = Stream(context)
        with self._lock:
            if self._ended:
                raise Stopping
            if len(self._open) >= self._most:
                raise TooManyStreams(self._most)
            self._open.add(stream)
        if not context.add_callback(self._forgetting(stream)):  # its client is gone already
            self._forgetting(stream)()
        return stream

    def check_serving(self) -> None:
        """Checks, between two responses, that the stream may send another one.

        Raises:
            Stopping: the server stops.
        """
        if self._ended:
            raise Stopping

    def end(self) -> None:
        """Ends every stream: one that is answering after the response, the others now."""
        with self._lock:
            self._ended = True
            waiting = [stream for stream in self._open if stream.idle]
        if waiting:
            time.sleep(_QUIET_SECONDS)
        for stream in waiting:
            if stream.idle:
                stream.cancel()

    def release(self) -> None:
        """Lets the threads go, once the server has stopped."""
        self.pool.shutdown(wait=False, cancel_futures=True)

    def _forgetting(self, stream: Stream) -> Callable[[], None]:
        def forget() -> None:
            with self._lock:
                self._open.discard(stream)

        return forget
