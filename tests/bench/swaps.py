"""What callers notice while a large tenant is swapped: twenty times under half the load that the server can take.

The same load with and without swaps in turn, by a client that measures every answer from when its question was due; the
few slowest answers of one run are as much the machine's as the server's. What is swapped lies in Redis beforehand, as
compiled by a loader elsewhere: the server fetches, checks and opens it. Redis has the client's core, with the lowest
priority. A server that is busy may take the last of two swaps alone: those that it took are counted.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, TypeAlias

from redis_server import RedisServer
from waiting import until

from bench.cached import Published, Rules
from bench.clients import WARM_UP, asking, figures, on_the_clients_core, paced
from bench.rounds import medians
from bench.serving import Service, serving

if TYPE_CHECKING:
    from bench.parts import Options

ROUNDS = 5
SWAPS = 4
"""Of a round, a second each."""
SHARE = 0.5
"""Of what the server answers as fast as it can."""
TRANSPORTS = ("core", "grpcio")
_LOWEST_PRIORITY = 19
_LOADED_SECONDS = 120.0

Results: TypeAlias = "dict[str, dict[str, Any]]"
"""By transport: ``clients.Load`` as fast as it can, and of each round ``still`` and ``swapped``."""


def measure(options: Options) -> Results:
    """Each transport, on one core."""
    rules = Rules(options.permissions)
    results: Results = {}
    with on_the_clients_core(), RedisServer() as redis:
        assert redis._process is not None
        os.setpriority(os.PRIO_PROCESS, redis._process.pid, _LOWEST_PRIORITY)
        published = Published(redis, rules)
        for transport in TRANSPORTS:
            with serving("--redis", redis.url, "--transport", transport) as server:
                results[transport] = _measure(server, rules, published, options)
        published.close()
    return results


def lines(results: Results) -> list[str]:
    """The figures, a line a run."""
    out = [f"{'':14}{'':>10}{'calls/s':>12}{'p50 ms':>10}{'p99 ms':>10}{'p99.9 ms':>10}{'longest ms':>12}"]
    for transport, runs in results.items():
        middle = medians([{transport: one} for one in runs["rounds"]])[transport]
        for what, run in {"full": runs["full"], **middle}.items():
            times = "".join(f"{run[name] * 1e3:10.2f}" for name in ("p50", "p99", "p999"))
            taken = f"   {run['taken']:.0f} of {SWAPS} swaps taken a round" if "taken" in run else ""
            out.append(f"{transport:14}{what:>10}{run['rate']:12,.0f}{times}{run['longest'] * 1e3:12.2f}{taken}")
    return out


def _measure(server: Service, rules: Rules, published: Published, options: Options) -> dict[str, Any]:
    full = paced(server.port, rules.questions, seconds=options.seconds)
    rate = full.rate * SHARE
    rounds = [
        {
            "still": paced(server.port, rules.questions, seconds=SWAPS, rate=rate)._asdict(),
            "swapped": _swapped(server, rules, published, rate),
        }
        for _ in range(1 if options.quick else ROUNDS)
    ]
    return {"full": full._asdict(), "rounds": rounds}


def _swapped(server: Service, rules: Rules, published: Published, rate: float) -> dict[str, float]:
    """The load, while the tenant is swapped so many times, evenly over it; and how many of them the server took."""
    before = server.reloads()
    with asking(server.port, rules.questions, seconds=SWAPS, rate=rate) as running:
        begun = time.monotonic() + WARM_UP
        for number in range(SWAPS):
            time.sleep(max(0.0, begun + number + 0.5 - time.monotonic()))
            last = published.swap().revision.number
        load = figures(running)
    until(lambda: server.revision() == last, "the last swap was made", deadline=_LOADED_SECONDS)
    return load._asdict() | {"taken": server.reloads() - before}
