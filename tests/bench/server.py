"""The server under load, compared in one run with what HTTP/2 and gRPC themselves cost: nginx, an empty handler.

The server has one core and the client another one. Each row also tells the processor time that a call took, which
other work on the machine disturbs less than calls a second. Everything is measured in several rounds, each with all
servers in turn: a machine that is slower for a minute is so for all that a round compares, and the median is told.

- *loaded*, *alone*: h2load with one and the same question, 8 calls in flight on each of 8 connections, or one call.
- *many*: h2load with the same 1,000 questions in each CheckCalls.
- *mix*: the load tests' client with different callers and numbers, 8 calls in flight on each of 8 connections. It is
  about as busy as the server.
- *open …*: the same client, so many questions a second, each answer measured from when its question was due.
- *ghz*: the same questions by ghz, which is itself the limit.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from load import drive
from load.prepare import NotEnoughMemory, module_environment
from tools import ToolMissing

from bench.cached import Rules
from bench.clients import ALONE, LOADED, MANY, MANY_CALLS, h2load, many, one, paced, require
from bench.facts import SERVER_CORE, cpu_seconds, listening
from bench.peer import EMPTY, NATIVE_EMPTY
from bench.rounds import medians

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.parts import Options
    from bench.rounds import Figures

PORT: Final = 50671
OPEN_RATES: Final = {"grpcio": (2_000,), "native": (2_000, 10_000)}
SMALL, LARGE = 1_000, 1_000_000
ROUNDS: Final = 5
"""Their runs are shorter than those of other parts, for there are many."""
_START_SECONDS: Final = 60.0
_NGINX: Final = """
worker_processes 1; daemon off; pid {0}/nginx.pid; error_log {0}/nginx.log;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 1000000000;
  server {{ listen 127.0.0.1:{1} http2; location / {{ return 200; }} }} }}
"""


def measure(options: Options) -> list[Figures]:
    """Every server in turn, round by round; a size for which there is not enough memory is left out."""
    require("h2load", "nginx", "taskset")
    rules = Rules(options.permissions)
    sizes = [found for size in (SMALL, LARGE) if not (size == LARGE and options.quick) and (found := _rules(size))]
    rounds = []
    for number in range(1 if options.quick else ROUNDS):
        print(f"round {number + 1}", flush=True)
        rounds.append(_round(rules, sizes, max(2, options.seconds * 3 // 5)))
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
        print(f"native with {size:,} permissions is left out: {error}", flush=True)
        return None


def _round(rules: Rules, sizes: list[Rules], seconds: int) -> Figures:
    results: Figures = {}
    for kind in ("nginx", EMPTY, "grpcio", NATIVE_EMPTY, "native"):
        with _server(kind, rules) as process:
            results[kind] = dict(_runs(kind, rules, process.pid, seconds))
    for sized in sizes:
        with _server("native", sized) as process:
            results[f"native, {sized.permissions:,}"] = dict(_sized_runs(sized, process.pid, seconds))
    return results


def _runs(kind: str, rules: Rules, process: int, seconds: int) -> Iterator[tuple[str, dict[str, float]]]:
    """All that is measured of one server."""
    single, requests = one(rules.plain_request()), rules.requests()
    ours = kind in OPEN_RATES
    yield "loaded", _h2load("CheckCall", single, LOADED, process, seconds)
    yield "alone", _h2load("CheckCall", single, ALONE, process, seconds)
    any_answer = ["--any-answer"] if kind == "nginx" else []
    mixed = paced(PORT, rules.questions, seconds=seconds, processes=[process], options=any_answer)
    yield "mix", mixed._asdict()
    if ours:
        yield "many", _h2load("CheckCalls", many(requests[:MANY_CALLS]), MANY, process, seconds)
    for rate in OPEN_RATES.get(kind, ()):
        run = paced(PORT, rules.questions, seconds=seconds, rate=rate, processes=[process])
        yield f"open {rate:,}", run._asdict()
    if ours and (found := _ghz(rules, process, seconds)):
        yield "ghz", found


def _sized_runs(rules: Rules, process: int, seconds: int) -> Iterator[tuple[str, dict[str, float]]]:
    """What is measured of one server with rules of another size."""
    yield "loaded", _h2load("CheckCall", one(rules.plain_request()), LOADED, process, seconds)
    yield "mix", paced(PORT, rules.questions, seconds=seconds, processes=[process])._asdict()
    yield "many", _h2load("CheckCalls", many(rules.requests()[:MANY_CALLS]), MANY, process, seconds)


def _h2load(method: str, body: bytes, shape: tuple[int, int], process: int, seconds: int) -> dict[str, float]:
    return h2load(PORT, method, body, shape=shape, seconds=seconds, processes=[process])._asdict()


def _ghz(rules: Rules, process: int, seconds: int) -> dict[str, float] | None:
    """As fast as ghz can; None where it cannot be had."""
    before = cpu_seconds(process)
    try:
        found: Any = drive.ghz(f"127.0.0.1:{PORT}", rules.questions, seconds=seconds)
    except ToolMissing as error:
        print(f"ghz is left out: {error}", flush=True)
        return None
    cpu = (cpu_seconds(process) - before) / found.sent
    times = {name: getattr(found, name) / 1e3 for name in ("p50", "p99", "p999")}
    return {"rate": found.rate, "answers": found.sent, **times, "longest": found.slowest / 1e3, "cpu": cpu}


@contextmanager
def _server(kind: str, rules: Rules) -> Iterator[subprocess.Popen[bytes]]:
    """A server on a core of its own; the process is the one that answers."""
    with tempfile.TemporaryDirectory(prefix="rightcall-nginx-") as directory:
        command = [sys.executable, "-m", "bench.peer", kind, str(rules.path), str(PORT)]
        if kind == "nginx":
            file = Path(directory, "nginx.conf")
            file.write_text(_NGINX.format(directory, PORT), encoding="ascii")
            command = ["nginx", "-c", str(file), "-g", "master_process off;"]
        process = subprocess.Popen(["taskset", "-c", str(SERVER_CORE), *command], env=module_environment())
        try:
            _await_listening(process)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _await_listening(process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not listening(PORT):
        if process.poll() is not None or time.monotonic() > deadline:
            raise TimeoutError("the server does not start; its last words are above")
        time.sleep(0.1)
