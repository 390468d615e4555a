"""What a machine holds: the time to start with many rules, the memory of a further worker, two workers against one.

- *start*: from the start of the program to the answer SERVING of its health service, three times, the median; the rules
  come from a state directory while Redis is away, or from Redis. The files are in the page cache.
- *private*: what each worker has for itself (USS) after a hundred thousand different calls, and what the machine's
  memory shows for all processes together (PSS).
- *workers*: CheckCalls of 1,000 questions from h2load, on both cores for servers and client, over so many connections
  that no worker is without one.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any, Final

from load.prepare import NotEnoughMemory
from redis_server import RedisServer

from bench.cached import Published, Rules
from bench.clients import MANY_CALLS, h2load, many, paced, require
from bench.facts import private, shares
from bench.serving import serving

if TYPE_CHECKING:
    from bench.parts import Options

STARTS: Final = 3
WORKERS: Final = 2
_SHAPE: Final = (16, 1)
_MIXED_SECONDS: Final = 5

Results = dict[str, Any]


def measure(options: Options) -> Results:
    """All three, with as many rules as there may be."""
    require("h2load")
    try:
        rules = Rules(options.large)
    except NotEnoughMemory as error:
        print(f"{options.large:,} permissions are left out: {error}", flush=True)
        rules = Rules(options.permissions)
    return {
        "permissions": rules.permissions,
        "start": _starts(rules),
        "private": _private(rules),
        "workers": _several(Rules(options.permissions), options.seconds),
    }


def lines(results: Results) -> list[str]:
    """The figures."""
    out = [f"{results['permissions']:,} permissions and users"]
    out += [f"  start from {source:34}{seconds:8.2f} s" for source, seconds in results["start"].items()]
    for what, found in results["private"].items():
        out.append(f"  {what:45}{found / 1e6:8.1f} MB")
    for count, rate in results["workers"].items():
        out.append(f"  {count + ' worker(s), decisions/s by CheckCalls':45}{rate:12,.0f}")
    return out


def _starts(rules: Rules) -> dict[str, float]:
    """Seconds to SERVING, by where the rules come from and how many workers there are."""
    found: dict[str, float] = {}
    with RedisServer() as redis:
        Published(redis, rules, editions=1).close()
        for workers in (1, WORKERS):
            several = ("--workers", str(workers), "--transport", "native")
            found[f"disk, {workers} worker(s)"] = statistics.median(
                _start_from_disk(rules, several) for _ in range(STARTS)
            )
            found[f"Redis, {workers} worker(s)"] = statistics.median(
                _start("--redis", redis.url, *several) for _ in range(STARTS)
            )
    return found


def _start_from_disk(rules: Rules, options: tuple[str, ...]) -> float:
    with rules.state() as state:
        return _start(*state, *options)


def _start(*options: str) -> float:
    with serving(*options, core=None) as server:
        return server.started


def _private(rules: Rules) -> dict[str, float]:
    """Bytes, of each worker and of all processes."""
    with rules.state() as state, serving(*state, "--workers", str(WORKERS), core=None) as server:
        paced(server.port, rules.questions, seconds=_MIXED_SECONDS)
        found = {f"private memory of worker {at}": float(private(one)) for at, one in enumerate(server.workers(), 1)}
        found["private memory of the supervisor"] = float(private(server.process))
        found["proportional memory of all processes"] = float(sum(map(shares, server.processes())))
    return found | {"snapshot": float(rules.path.stat().st_size)}


def _several(rules: Rules, seconds: int) -> dict[str, float]:
    """Decisions a second, by the number of workers."""
    found: dict[str, float] = {}
    body = many(rules.requests()[:MANY_CALLS])
    for count in (1, WORKERS):
        with rules.state() as state:
            options = ("--workers", str(count), "--transport", "native")
            with serving(*state, *options, core=None) as server:
                load = h2load(server.port, "CheckCalls", body, shape=_SHAPE, seconds=seconds, core=None)
        found[str(count)] = load.rate * MANY_CALLS
    return found
