"""What a machine holds: the time to start with many rules, memory beside the snapshot, two threads against one.

- *start*: from the start of the program to the answer SERVING of its health service, three times, the median; the rules
  come from a state directory while Redis is away, or from Redis. The files are in the page cache.
- *private*: what a process with four threads has for itself (USS) after a hundred thousand different calls.
- *threads*: CheckCalls of 1,000 requests from h2load, on both cores for server and client, over so many connections
  that no thread is without one.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any, Final

from load.prepare import NotEnoughMemory
from redis_server import RedisServer

from bench.cached import Published, Rules
from bench.clients import MANY_CALLS, h2load, many, paced, require
from bench.facts import private
from bench.serving import serving

if TYPE_CHECKING:
    from bench.parts import Options

STARTS: Final = 3
THREADS: Final = 2
_MOST_THREADS: Final = 4
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
        "threads": _several(Rules(options.permissions), options.seconds),
    }


def lines(results: Results) -> list[str]:
    """The figures."""
    out = [f"{results['permissions']:,} permissions and users"]
    out += [f"  start from {source:34}{seconds:8.2f} s" for source, seconds in results["start"].items()]
    for what, found in results["private"].items():
        out.append(f"  {what:45}{found / 1e6:8.1f} MB")
    for count, rate in results["threads"].items():
        out.append(f"  {count + ' thread(s), decisions/s by CheckCalls':45}{rate:12,.0f}")
    return out


def _starts(rules: Rules) -> dict[str, float]:
    """Seconds to SERVING, by where the rules come from."""
    with RedisServer() as redis:
        Published(redis, rules, editions=1).close()
        return {
            "disk": statistics.median(_start_from_disk(rules) for _ in range(STARTS)),
            "Redis": statistics.median(_start("--redis", redis.url) for _ in range(STARTS)),
        }


def _start_from_disk(rules: Rules) -> float:
    with rules.state() as state:
        return _start(*state)


def _start(*options: str) -> float:
    with serving(*options, core=None) as server:
        return server.started


def _private(rules: Rules) -> dict[str, float]:
    """Bytes of the process, and of the snapshot, which it maps from the state directory."""
    with rules.state() as state, serving(*state, "--io-threads", str(_MOST_THREADS), core=None) as server:
        paced(server.port, rules.questions, seconds=_MIXED_SECONDS)
        found = float(private(server.process))
    size = float(rules.path.stat().st_size)
    return {"private memory": found, "snapshot": size, "beside the snapshot": max(found - size, 0.0) or found}


def _several(rules: Rules, seconds: int) -> dict[str, float]:
    """Decisions a second, by the number of threads."""
    found: dict[str, float] = {}
    body = many(rules.requests()[:MANY_CALLS])
    for count in (1, THREADS):
        with rules.state() as state, serving(*state, "--io-threads", str(count), core=None) as server:
            load = h2load(server.port, "CheckCalls", body, shape=_SHAPE, seconds=seconds, core=None)
        found[str(count)] = load.rate * MANY_CALLS
    return found
