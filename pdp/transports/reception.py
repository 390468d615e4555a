"""Reception of the one message of a call, with limits on time and bytes.

grpcio holds a thread for a call until the message has come. Handlers of single requests are therefore given the stream
of messages and take the first one here: the call is admitted by then, and a missing message ends the call and
not the service.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, TypeVar

from pdp.errors import InvalidCall, TooLarge, TooManyCalls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import grpc

T = TypeVar("T")

_CHECK_SECONDS = 0.25
"""Interval between two looks for messages that do not come."""
_SLOW_SECONDS = 0.5
"""Seconds after which a message is late: clients send messages together with the headers."""
_RETRY_SECONDS = 1.0
_REJECTED_SECONDS = 5.0
"""Seconds for which nothing is taken from an address with late messages on every thread."""


class Reception:
    """Takes messages from calls, on the threads of one pool.

    Args:
        threads: of the pool. Where late messages hold all threads, the late calls end, and for a while nothing is taken
            from the addresses of those calls.
        most: bytes that a message may have; further ones are not looked at.
        seconds: time for a message.
        per_peer: messages of one address that may be awaited at the same time; 0: any number. Only for calls that need
            no credentials.
        peer: returns the address that a call comes from, in gRPC's form.
    """

    def __init__(
        self,
        *,
        threads: int,
        most: int,
        seconds: float,
        per_peer: int = 0,
        peer: Callable[[grpc.ServicerContext], str],
    ) -> None:
        self._threads = threads
        self._most = most
        self._seconds = seconds
        self._per_peer = per_peer
        self._peer = peer
        self._awaited: dict[grpc.ServicerContext, float] = {}
        self._rejected: dict[str, float] = {}
        """Addresses from which nothing is taken, with the end of that time."""

    @property
    def awaited(self) -> int:
        """How many messages are awaited now, each by a thread."""
        return len(self._awaited)

    def take(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        """The message of a call.

        Raises:
            InvalidCall: there is no message.
            TooLarge: the message has too many bytes.
            TooManyCalls: too many messages are awaited from this address, or this address held every thread.
            grpc.RpcError: the call has ended.
        """
        data = self._next(messages, context, time.monotonic())
        if data is None:
            raise InvalidCall("the call has no message; send one request")
        if len(data) > self._most:
            raise TooLarge(len(data), self._most)
        return data

    def take_all(self, messages: Iterator[T], context: grpc.ServicerContext) -> Iterator[T]:
        """The messages of a stream, for no longer than one message may take.

        Raises:
            TooManyCalls: as for ``take``.
            grpc.RpcError: the call has ended.
        """
        since = time.monotonic()
        while (message := self._next(messages, context, since)) is not None:
            yield message

    def _next(self, messages: Iterator[T], context: grpc.ServicerContext, since: float) -> T | None:
        if self._per_peer or self._rejected:
            self._check_peer(context)
        self._awaited[context] = since
        try:
            return next(messages, None)
        finally:
            del self._awaited[context]

    def end_late(self) -> None:
        """Ends calls with an overdue message, and all late calls where such calls hold every thread."""
        now = time.monotonic()
        late = sorted(
            ((since, context) for context, since in list(self._awaited.items()) if now - since > _SLOW_SECONDS),
            key=lambda one: one[0],
        )
        scarce = len(late) >= self._threads
        for since, context in late:
            if scarce or now - since > self._seconds:
                context.cancel()
            if scarce and (peer := host(self._peer(context))):
                self._rejected[peer] = now + _REJECTED_SECONDS
        for peer, until in list(self._rejected.items()):
            if until < now:
                del self._rejected[peer]

    def _check_peer(self, context: grpc.ServicerContext) -> None:
        peer = host(self._peer(context))
        if not peer:
            return
        awaited = sum(1 for other in list(self._awaited) if host(self._peer(other)) == peer) if self._per_peer else -1
        if awaited >= self._per_peer or peer in self._rejected:
            raise TooManyCalls("unfinished", _RETRY_SECONDS)


def host(peer: str) -> str:
    """The host of a peer in gRPC's form (``ipv4:1.2.3.4:5``); empty for a peer without an address."""
    return peer.rpartition(":")[0] if peer.startswith("ip") else ""


class Receptions:
    """The receptions of a server, and the thread that ends late calls."""

    def __init__(self) -> None:
        self._receptions: list[Reception] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="late-calls", daemon=True)

    def add(self, reception: Reception) -> Reception:
        """Looks after one more; before ``start``."""
        self._receptions.append(reception)
        return reception

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Ends."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(_CHECK_SECONDS):
            for reception in self._receptions:
                reception.end_late()
