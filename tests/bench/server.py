"""The server under load, compared in one run with what HTTP/2 and gRPC themselves cost: nginx, an empty handler.

The server has one core and the client another one. Each row also tells the processor time that a call took, which
other work on the machine disturbs less than calls a second. Everything is measured in several rounds. In each of them
all servers are started, and asked the same in turn before they are asked the next: a process is slower or faster for
as long as it lives, and a machine for seconds or minutes. The median of the rounds' ratios is told.

- *loaded*, *alone*: h2load with one and the same question, 8 calls in flight on each of 8 connections, or one call.
- *many*: h2load with the same 1,000 questions in each CheckCalls.
- *mix*: the load tests' client with different callers and numbers, 8 calls in flight on each of 8 connections. It is
  about as busy as the server.
- *open …*: the same client, so many questions a second, each answer measured from when its question was due.
- *ghz*: the same questions by ghz, which is itself the limit.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack, contextmanager
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from load import drive
from load.prepare import NotEnoughMemory
from tools import ToolMissing

from bench.cached import Rules
from bench.clients import ALONE, LOADED, MANY, MANY_CALLS, h2load, many, one, paced, require
from bench.facts import cpu_seconds
from bench.peer import EMPTY
from bench.rounds import medians
from bench.started import nginx, started

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TypeAlias

    from bench.parts import Options
    from bench.rounds import Figures

    _Run: TypeAlias = dict[str, float]

PORT: Final = 50671
OPEN_RATES: Final = {"grpcio": (2_000,), "core": (2_000, 10_000)}
SMALL, LARGE = 1_000, 1_000_000
ROUNDS: Final = 7
"""Their runs are shorter than those of other parts, for there are many."""
_UNSTEADY: Final = (EMPTY, "grpcio")
"""In one run of grpcio its threads switch twice as often as in the next, with nothing changed: 85 or 125 µs a call."""
_COMPARED: Final = ("loaded", "mix")
_TURNS: Final = 3
"""Of those in a round."""


class _Server(NamedTuple):
    """One that is up.

    Attributes:
        name: in the results.
        kind: what it is.
        rules: that it has.
        port: where it listens.
        process: its id.
    """

    name: str
    kind: str
    rules: Rules
    port: int
    process: int


def measure(options: Options) -> list[Figures]:
    """Every server in turn, round by round; a size for which there is not enough memory is left out."""
    require("h2load", "nginx", "taskset")
    rules = Rules(options.permissions)
    sizes = [found for size in (SMALL, LARGE) if not (size == LARGE and options.quick) and (found := _rules(size))]
    rounds = []
    for number in range(1 if options.quick else ROUNDS):
        print(f"round {number + 1}", flush=True)
        rounds.append(_round(rules, sizes, max(2, options.seconds * 2 // 5)))
    return rounds


def lines(rounds: list[Figures]) -> list[str]:
    """The medians, a line a run."""
    out = [f"{'':22}{'what':>12}{'calls/s':>12}{'p50 µs':>10}{'p99 µs':>10}{'p99.9 µs':>10}{'CPU µs':>10}"]
    for kind, runs in medians(rounds).items():
        for what, run in runs.items():
            times = "".join(f"{run[name] * 1e6:10.0f}" for name in ("p50", "p99", "p999"))
            out.append(f"{kind:22}{what:>12}{run['rate']:12,.0f}{times}{run['cpu'] * 1e6:10.1f}")
    return out


def _rules(size: int) -> Rules | None:
    try:
        return Rules(size)
    except NotEnoughMemory as error:
        print(f"core with {size:,} permissions is left out: {error}", flush=True)
        return None


def _round(rules: Rules, sizes: list[Rules], seconds: int) -> Figures:
    """All servers are up, so that what is compared is measured within seconds; those that are not asked do nothing."""
    wanted = [(kind, kind, rules) for kind in ("nginx", EMPTY, "grpcio", "core")]
    wanted += [(f"core, {sized.permissions:,}", "core", sized) for sized in sizes]
    with ExitStack() as stack:
        servers = [
            _Server(name, kind, of, PORT + number, stack.enter_context(_running(kind, of, PORT + number)))
            for number, (name, kind, of) in enumerate(wanted)
        ]
        runs = {server.name: dict(_runs(server, seconds)) for server in servers}
        results: Figures = {server.name: {} for server in servers}
        for what in max(runs.values(), key=len):
            asked = {name: own[what] for name, own in runs.items() if what in own}
            for name, run in _in_turn(asked, what).items():
                results[name][what] = run
    return results


def _in_turn(asked: dict[str, Callable[[], _Run | None]], what: str) -> dict[str, _Run]:
    """One kind of run of all servers; where some are asked several times, the run in the middle by its rate."""
    found: dict[str, list[_Run]] = {}
    for turn in range(_TURNS):
        for name, ask in asked.items():
            again = name in _UNSTEADY and what in _COMPARED
            if (turn == 0 or again) and (run := ask()) is not None:
                found.setdefault(name, []).append(run)
    return {name: sorted(runs, key=itemgetter("rate"))[len(runs) // 2] for name, runs in found.items()}


def _runs(server: _Server, seconds: int) -> Iterator[tuple[str, Callable[[], _Run | None]]]:
    """All that is measured of a server."""
    rules, kind = server.rules, server.kind
    single = one(rules.plain_request())
    yield "loaded", partial(_h2load, server, "CheckCall", single, LOADED, seconds)
    if server.name == kind:
        yield "alone", partial(_h2load, server, "CheckCall", single, ALONE, seconds)
    yield "mix", partial(_paced, server, seconds, options=["--any-answer"] if kind == "nginx" else [])
    if kind not in OPEN_RATES:
        return
    yield "many", partial(_h2load, server, "CheckCalls", many(rules.requests()[:MANY_CALLS]), MANY, seconds)
    if server.name == kind:
        for rate in OPEN_RATES[kind]:
            yield f"open {rate:,}", partial(_paced, server, seconds, rate=rate)
        yield "ghz", partial(_ghz, server, seconds)


def _h2load(server: _Server, method: str, body: bytes, shape: tuple[int, int], seconds: int) -> _Run:
    return h2load(server.port, method, body, shape=shape, seconds=seconds, processes=[server.process])._asdict()


def _paced(server: _Server, seconds: int, rate: float = 0, options: Sequence[str] = ()) -> _Run:
    questions, processes = server.rules.questions, [server.process]
    return paced(server.port, questions, seconds=seconds, rate=rate, processes=processes, options=options)._asdict()


def _ghz(server: _Server, seconds: int) -> _Run | None:
    """As fast as ghz can; None where it cannot be had."""
    before = cpu_seconds(server.process)
    try:
        found: Any = drive.ghz(f"127.0.0.1:{server.port}", server.rules.questions, seconds=seconds)
    except ToolMissing as error:
        print(f"ghz is left out: {error}", flush=True)
        return None
    cpu = (cpu_seconds(server.process) - before) / found.sent
    times = {name: getattr(found, name) / 1e3 for name in ("p50", "p99", "p999")}
    return {"rate": found.rate, "answers": found.sent, **times, "longest": found.slowest / 1e3, "cpu": cpu}


@contextmanager
def _running(kind: str, rules: Rules, port: int) -> Iterator[int]:
    """A server on a core of its own; the process is the one that answers."""
    with tempfile.TemporaryDirectory(prefix="rightcall-nginx-") as directory:
        command = [sys.executable, "-m", "bench.peer", kind, str(rules.path), str(port)]
        if kind == "nginx":
            command = nginx(Path(directory), port)
        with started(command, port) as process:
            yield process
