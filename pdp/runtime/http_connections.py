"""Connections of the HTTP port, with limits on number, share of one address, and time.

uvicorn has no limits of this kind. Beyond the number of connections the one that has been idle the longest is closed. A
few more are kept in reserve for probes and metrics, so that an orchestrator hears from a server that is full.
"""

from __future__ import annotations

import ssl
import time
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from uvicorn.protocols.http.h11_impl import RequestResponseCycle

_log = structlog.get_logger()

CLIENT_CERTIFICATE: Final = "client_certificate"
"""The key in a request's state for the connection's certificate; PEM, or None."""
RESERVED: Final = "reserved"
"""The key in a request's state that says whether the connection is one of the reserve."""
RESERVE: Final = 32
"""Connections beyond the limit, on which probes and metrics alone are answered."""
SLOW_REQUEST_SECONDS = 5.0
"""Seconds for a request, from first byte to last."""
SLOW_READER_SECONDS = 10.0
"""Seconds until a slow client must read on."""
_LOG_SECONDS = 10.0
"""Each reason is logged once in so long; all are counted."""


class HttpLimits(NamedTuple):
    """The limits of connections of the HTTP port.

    Attributes:
        connections: open at the same time; at most half from one address.
        keep_alive: seconds that a connection may rest between two requests.
    """

    connections: int = 1024
    keep_alive: float = 30.0


class Policy:
    """Chooses the connections to keep.

    Args:
        limits: of the port.
        closed: counts a connection that is closed, by reason; ``pdp.metrics.catalog`` has them.
    """

    def __init__(self, limits: HttpLimits, closed: Callable[[str], None]) -> None:
        self._limits = limits
        self._closed = closed
        self._open: dict[Connection, None] = {}
        self._by_address: Counter[str] = Counter()
        self._reserve: dict[Connection, None] = {}
        """The connections in ``_open`` that are beyond the limit."""
        self._logged: dict[str, float] = {}

    @property
    def count(self) -> int:
        """Connections that are open."""
        return len(self._open)

    def enter(self, one: Connection) -> None:
        """Adds a connection; if there are too many, closes an idle one, or else assigns the new one to the reserve."""
        self._open[one] = None
        self._by_address[one.address] += 1
        crowded = self._by_address[one.address] > max(1, self._limits.connections // 2)
        if not crowded and len(self._open) - len(self._reserve) <= self._limits.connections:
            return
        idle = [
            other
            for other in self._open
            if other is not one and other.idle and (other.address == one.address or not (crowded or other.reserved))
        ]
        if idle:
            self.close(min(idle, key=lambda other: other.since), "address" if crowded else "full")
            return
        one.reserved = True
        self._reserve[one] = None
        if len(self._reserve) > RESERVE:
            self.close(next(iter(self._reserve)), "reserve")

    def leave(self, one: Connection) -> None:
        """Forgets a connection that is closed."""
        if one in self._open:
            del self._open[one]
            self._reserve.pop(one, None)
            self._by_address[one.address] -= 1
            if not self._by_address[one.address]:
                del self._by_address[one.address]

    def close(self, one: Connection, reason: str) -> None:
        """Closes a connection, and counts why."""
        self.leave(one)
        one.transport.abort()
        self._closed(reason)
        now = time.monotonic()
        if now >= self._logged.get(reason, 0.0):
            self._logged[reason] = now + _LOG_SECONDS
            _log.warning(
                "http_connection_closed",
                reason=reason,
                peer=one.address,
                connections=len(self._open),
                next_in_seconds=_LOG_SECONDS,
            )


class Connection(H11Protocol):
    """A connection under the policy's limits, with timeouts for slow clients.

    Attributes:
        policy: chooses the connections to keep; set on the subclass that a server makes.
        address: the client's address.
        reserved: whether the connection is one of the reserve.
        since: when the wait for a request began.
    """

    policy: Policy
    address: str = ""
    reserved: bool = False
    since: float = 0.0
    _deadline: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> bool:
        """Whether no request is being answered."""
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request; its base has it otherwise
        return cycle is None or cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as its base has it
        """Takes the connection, or hangs up where there is no room for one."""
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if peer else ""
        self.since = time.monotonic()
        self.policy.enter(self)
        self.app_state = {
            **self.app_state,
            CLIENT_CERTIFICATE: _client_certificate(transport),
            RESERVED: self.reserved,
        }
        if not transport.is_closing():
            self._watch()

    def data_received(self, data: bytes) -> None:
        """Reads on."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the connection."""
        super().connection_lost(exc)
        self.policy.leave(self)
        self._unwatch()
        self.resume_writing()

    def pause_writing(self) -> None:
        """Starts the deadline for a client that does not read."""
        super().pause_writing()
        if self._reading is None:
            self._reading = self.loop.call_later(SLOW_READER_SECONDS, self.policy.close, self, "slow_reader")

    def resume_writing(self) -> None:
        """The client reads."""
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Closes the connection, even with unread responses."""
        if self.transport.get_write_buffer_size():
            self.policy.close(self, "slow_reader")
        else:
            super().timeout_keep_alive_handler()

    def on_response_complete(self) -> None:
        """Waits for the next request, as long as an idle connection may."""
        self._unwatch()
        super().on_response_complete()
        self.since = time.monotonic()
        if self.transport.is_closing() and self.transport.get_write_buffer_size() and self._reading is None:
            self._reading = self.loop.call_later(SLOW_READER_SECONDS, self.policy.close, self, "slow_reader")

    def _watch(self) -> None:
        """Starts the deadline of a request, from first byte to last; of the first request, from the connection on."""
        cycle: RequestResponseCycle | None = self.cycle  # as above
        if cycle is not None and not cycle.response_complete and not cycle.more_body:
            self._unwatch()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(SLOW_REQUEST_SECONDS, self.policy.close, self, "slow_request")

    def _unwatch(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _client_certificate(transport: asyncio.Transport) -> bytes | None:
    """The client's certificate from the handshake, PEM; None: no certificate."""
    connection = transport.get_extra_info("ssl_object")
    shown = connection.getpeercert(binary_form=True) if connection is not None else None
    return ssl.DER_cert_to_PEM_cert(shown).encode() if shown else None
