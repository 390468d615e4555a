"""What becomes of calls when a server is stopped under load.

Eight connections with eight calls in flight each, on the client's core; the server has the other one.
Every call ends in one of four ways: *answered*; *refused*, with a status of the server's own, so the client asks
another one; *never taken*, as the server said which calls it had seen when it closed the connection, and this came
later; or *lost*, taken and not answered.
"""

from __future__ import annotations

import select
import signal
import time
from typing import TYPE_CHECKING, Final, TypeAlias

from load.http2 import Connection, ConnectionLost, questions
from load.paced import CHECK_CALL, CONNECTIONS, IN_FLIGHT

from bench.cached import Rules
from bench.clients import on_the_clients_core
from bench.serving import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from load.http2 import Question

    from bench.parts import Options
    from bench.serving import Service

_BEFORE: Final = 2.0
"""Seconds of load before anything happens."""
_AFTER: Final = 5.0
"""Seconds for everything to end in."""
_REFUSALS: Final = 3
"""After so many on a connection a client has understood."""
_GOAWAY: Final = 7
_LAST_STREAM: Final = 0x7FFFFFFF

Results: TypeAlias = "dict[str, dict[str, float]]"
"""By what happened: how calls ended."""


class EndingConnection(Connection):
    """A connection that goes on to listen when the server says that it closes it, as HTTP/2 wants it."""

    last_taken: int = _LAST_STREAM
    """The highest stream that the server takes."""
    over = False

    def _control(self, kind: int, flags: int, stream: int, body: bytes) -> None:
        if kind == _GOAWAY:
            self.last_taken = min(self.last_taken, int.from_bytes(body[:4], "big") & _LAST_STREAM)
        else:
            super()._control(kind, flags, stream, body)

    @property
    def leaving(self) -> bool:
        """Whether it takes no more questions."""
        return self.over or self.last_taken != _LAST_STREAM or self.failed >= _REFUSALS

    def lost(self) -> int:
        """Calls that the server took, and that have not ended."""
        return sum(stream <= self.last_taken for stream in self._open)


def measure(options: Options) -> Results:
    """A stop."""
    rules = Rules(options.permissions)
    asked = questions(rules.requests()[:1000])
    results: Results = {}
    with on_the_clients_core(), rules.state() as state, serving(*state) as server:
        results["SIGTERM"] = _under_load(server, asked, lambda: server.program._process.send_signal(signal.SIGTERM))
        server.program.wait()
    return results


def lines(results: Results) -> list[str]:
    """The figures."""
    return [
        f"{what}: " + ", ".join(f"{name} {value:,.6g}" for name, value in found.items())
        for what, found in results.items()
    ]


def _under_load(server: Service, asked: Sequence[Question], happens: Callable[[], None]) -> dict[str, float]:
    """Asks for a while, lets it happen, and asks on until no connection takes more or time is over."""
    opened = [EndingConnection("127.0.0.1", server.port, CHECK_CALL) for _ in range(CONNECTIONS)]
    poll = select.epoll()
    by_file = {one.socket.fileno(): one for one in opened}
    for file in by_file:
        poll.register(file, select.EPOLLIN)
    begun = time.perf_counter()
    happened = False
    while (now := time.perf_counter()) < begun + _BEFORE + _AFTER and not all(one.over for one in opened):
        if not happened and now > begun + _BEFORE:
            happens()
            happened = True
        for one in opened:
            _fill(one, asked, now)
        for file, _ in poll.poll(0.001):
            _receive(by_file[file], poll)
    _drain(opened, poll, by_file)
    sent = sum(len(one.started) for one in opened)
    answered, refused = sum(len(one.finished) for one in opened), sum(one.failed for one in opened)
    lost = sum(one.lost() for one in opened)
    return {
        "sent": float(sent),
        "answered": float(answered),
        "refused": float(refused),
        "never taken": float(sent - answered - refused - lost),
        "lost": float(lost),
        "connections that ended": float(sum(one.leaving for one in opened)),
    }


def _fill(connection: EndingConnection, asked: Sequence[Question], now: float) -> None:
    if connection.leaving:
        return
    while connection.pending < IN_FLIGHT and connection.ask(asked[len(connection.started) % len(asked)], now):
        pass
    try:
        connection.flush()
    except OSError:
        connection.over = True


def _receive(connection: EndingConnection, poll: select.epoll) -> None:
    try:
        connection.receive()
    except (ConnectionLost, OSError):
        connection.over = True
        poll.unregister(connection.socket.fileno())


def _drain(opened: Sequence[EndingConnection], poll: select.epoll, by_file: dict[int, EndingConnection]) -> None:
    """Takes in the last answers."""
    deadline = time.perf_counter() + _AFTER
    while any(one.pending and not one.over for one in opened) and time.perf_counter() < deadline:
        for file, _ in poll.poll(0.001):
            _receive(by_file[file], poll)
    for one in opened:
        one.close()
