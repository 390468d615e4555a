"""A client that keeps to a schedule: it asks when a question is due, and measures each answer from then.

ghz measures from when a request was really sent. When a server, or ghz itself, falls behind, requests are sent later
and the wait is in no figure. Here it is in all of them. The client is one thread that spins: it looks at the clock and
at its sockets in turn and never sleeps, so it needs a core of its own. How late it was itself with what it sent is in
its result; while that is well below the times it measures, those are the server's.

    PYTHONPATH=.:tests:tests/support python -m load.paced HOST:PORT --questions FILE --rate 10000 --seconds 5

Without ``--rate`` it has a number of calls in flight on every connection all the time, as h2load does, but with a file
of different questions. The result is a line of JSON; times are in seconds.
"""

from __future__ import annotations

import argparse
import gc
import json
import select
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from load.http2 import Connection, questions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from load.http2 import Question

CHECK_CALL: Final = "/rightcall.v1.DecisionService/CheckCall"
CONNECTIONS: Final = 8
IN_FLIGHT: Final = 8
"""On each connection, where there is no rate."""
_GRACE_SECONDS: Final = 5.0
"""After the last question, until those without an answer have failed."""
QUANTILES: Final = {"p50": 0.5, "p99": 0.99, "p999": 0.999, "slowest": 1.0}


def read_questions(path: Path) -> Iterator[bytes]:
    """The requests of a file as ghz wants it: each behind its length, a varint."""
    data = path.read_bytes()
    at = 0
    while at < len(data):
        size = shift = 0
        while True:
            byte = data[at]
            at += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        yield data[at : at + size]
        at += size


class Client:
    """Asks over some connections, each question once in turn; a context manager.

    Args:
        connections: to ask over; it closes them.
        asked: what; each connection begins somewhere else.
    """

    def __init__(self, connections: Sequence[Connection], asked: Sequence[Question]) -> None:
        self._connections = connections
        self._asked = asked
        self._poll = select.epoll()
        self._by_file = {one.socket.fileno(): one for one in connections}
        for file in self._by_file:
            self._poll.register(file, select.EPOLLIN)
        self._next = [len(asked) * number // len(connections) for number in range(len(connections))]
        self.late: list[float] = []
        """Seconds between when a question was due and when it was sent."""
        self.unsent = 0
        """Questions that were due and that flow control never let out."""

    def __enter__(self) -> Self:
        """The client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the connections."""
        self._poll.close()
        for connection in self._connections:
            connection.close()

    def paced(self, rate: float, seconds: float) -> float:
        """Asks ``rate`` times a second, evenly and over the connections in turn; returns when it began."""
        count, total = len(self._connections), int(rate * seconds)
        issued = 0
        """Before the question of this number, all have been asked."""
        waiting: list[tuple[int, float]] = []
        """Connections and times of those that were due and that flow control held back."""
        begun = now = time.perf_counter()
        while (issued < total or waiting) and now < begun + seconds + _GRACE_SECONDS:
            now = time.perf_counter()
            held, waiting = waiting, []
            due = min(int((now - begun) * rate) + 1, total)
            for number, at in (*held, *((one % count, begun + one / rate) for one in range(issued, due))):
                if self._ask(number, at):
                    self.late.append(now - at)
                else:
                    waiting.append((number, at))
            issued = due
            self._turn()
        self.unsent = len(waiting)
        self._drain(begun + seconds + _GRACE_SECONDS)
        return begun

    def full(self, in_flight: int, seconds: float) -> float:
        """Keeps ``in_flight`` calls on each connection; returns when it began."""
        begun = time.perf_counter()
        while (now := time.perf_counter()) < begun + seconds:
            for number, connection in enumerate(self._connections):
                while connection.pending < in_flight and self._ask(number, now):
                    pass
            self._turn()
        self._drain(begun + seconds + _GRACE_SECONDS)
        return begun

    def _ask(self, number: int, due: float) -> bool:
        asked = self._connections[number].ask(self._asked[self._next[number]], due)
        if asked:
            self._next[number] = (self._next[number] + 1) % len(self._asked)
        return asked

    def _turn(self) -> None:
        """Sends what is to be sent, takes in what has come."""
        for connection in self._connections:
            connection.flush()
        for file, _ in self._poll.poll(0):
            self._by_file[file].receive()

    def _drain(self, deadline: float) -> None:
        """Takes in the last answers."""
        while any(one.pending for one in self._connections) and time.perf_counter() < deadline:
            self._turn()

    def summary(self, from_: float) -> dict[str, float]:
        """The figures of what was due from then on."""
        times: list[float] = []
        failed = sent = self.unsent
        last = from_
        for connection in self._connections:
            started = connection.started
            counted = sum(due >= from_ for due in started)
            answers = [(ended, started[number]) for number, ended in connection.finished if started[number] >= from_]
            times += (ended - due for ended, due in answers)
            last = max([last, *(ended for ended, _ in answers)])
            sent += counted
            failed += counted - len(answers)
        times.sort()
        late = sorted(self.late)
        quantiles = {name: _quantile(times, share) for name, share in QUANTILES.items()}
        rate = len(times) / (last - from_) if times else 0.0
        return {"sent": sent, "failed": failed, "rate": rate, **quantiles, "late_p99": _quantile(late, 0.99)}


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Asks, and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", metavar="HOST:PORT")
    parser.add_argument(
        "--questions", type=Path, required=True, metavar="FILE", help="requests, each behind its length"
    )
    parser.add_argument("--rate", type=float, default=0.0, help="questions a second; 0: as fast as answers come")
    parser.add_argument("--in-flight", type=int, default=IN_FLIGHT, help="on each connection, without a rate")
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    parser.add_argument("--seconds", type=float, default=5.0, help="that are measured")
    parser.add_argument("--warm-up", type=float, default=1.0, metavar="SECONDS", help="before that")
    parser.add_argument("--path", default=CHECK_CALL, help="of the method")
    parser.add_argument("--any-answer", action="store_true", help="an answer without a message counts as well")
    chosen = parser.parse_args(arguments)
    host, _, port = chosen.target.rpartition(":")
    asked = questions(read_questions(chosen.questions))
    connections = [
        Connection(host, int(port), chosen.path, with_message=not chosen.any_answer) for _ in range(chosen.connections)
    ]
    gc.collect()
    gc.disable()  # nothing here is cyclic, and the collector would be in the times
    whole = chosen.warm_up + chosen.seconds
    with Client(connections, asked) as client:
        begun = client.paced(chosen.rate, whole) if chosen.rate else client.full(chosen.in_flight, whole)
    print(json.dumps(client.summary(begun + chosen.warm_up)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
