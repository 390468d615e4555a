"""One size of rule set, measured in a process of its own, so that memory and garbage of one do not weigh on another.

Prints one JSON object. ``sizes`` starts it; by hand:
``PYTHONPATH=.:tests:tests/support python tests/bench/measure.py 1000``. With ``--compiled`` it takes the rules
that were compiled for the other parts, and measures what a server does with them.
"""

from __future__ import annotations

import gc
import hashlib
import json
import logging
import pickle
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from array import array
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from given import GivenSource
from redis_server import RedisServer
from waiting import until

from bench.cached import KEY as RULES_KEY
from bench.cached import Rules
from bench.facts import resident, timed
from bench.workload import Call, make_workload
from loader.cycle import Synchronizer
from loader.publishing.publish import RedisPublisher
from pdp.metrics.registry import Metrics
from pdp.rules.compiler.compiler import Compiler
from pdp.rules.compiler.digest import Digester
from pdp.rules.model import PasswordOverride, Revision
from pdp.rules.snapshot.snapshot import decode
from pdp.snapshots.current import CurrentSnapshots
from pdp.snapshots.follower import Follower
from rightcall import v1
from rightcall.redis_url import open_redis

if TYPE_CHECKING:
    from collections.abc import Callable

    from pdp.rules.model import Tenant
    from pdp.rules.snapshot.snapshot import Snapshot

CHUNK = 100
MANY = 200_000
"""Users from which on an edit is measured once: it takes minutes."""
SECRET = b"a key for the benchmark"
STEPS = 200_000
READS = 2**23
"""Places of eight bytes: more than a processor's caches hold."""
CALLS = 20_000


def measure(permissions: int, calls: int) -> dict[str, float]:
    """Everything about a rule set of that size; times in seconds, sizes in bytes."""
    workload = make_workload(permissions, calls=calls)
    compiler, digester = Compiler(secret=SECRET), Digester(secret=SECRET)
    result: dict[str, float] = {"permissions": permissions, "users": len(workload.tenant.users)}
    digest, result["digest_s"] = timed(lambda: digester.digest(workload.tenant))
    blob, result["compile_s"] = timed(lambda: compiler.compile(workload.tenant, Revision(1, digest), compiled_at=0.0))
    result["compiler_rss"] = resident("VmHWM")
    result |= _measure_edit(workload.tenant, compiler, digester)
    result["blob_bytes"] = len(blob)
    if permissions <= MANY and shutil.which("redis-server"):
        result |= _measure_republishing(workload.tenant)
    return result | _measure_serving(blob, workload.calls)


def measure_compiled(permissions: int) -> dict[str, float]:
    """What a server does with rules of that size; the same figures, but for those of a loader."""
    rules = Rules(permissions)
    requests = map(v1.CheckCallRequest.FromString, rules.requests()[:CALLS])
    calls = [Call(request.caller, request.extension, request.outcall) for request in requests]
    blob = rules.path.read_bytes()
    return {"permissions": permissions, "blob_bytes": len(blob)} | _measure_serving(blob, calls, RULES_KEY)


def _measure_serving(blob: bytes, calls: list[Call], secret: bytes = SECRET) -> dict[str, float]:
    """Loading and deciding."""
    result = {
        "load_s": statistics.median(timed(lambda: decode(blob, secrets=[secret]))[1] for _ in range(7)),
        "sha256_s": statistics.median(timed(lambda: hashlib.sha256(blob).digest())[1] for _ in range(7)),
        "step_s": _one_of(_steps),
        "read_s": _one_of(partial(_reads, _distant_places())),
        "server_rss": _server_rss(blob),
    }
    gc.collect()
    gc.freeze()  # a server holds no definitions: the collector must not walk those of this process
    return result | _measure_decide(decode(blob), calls)


def _steps() -> None:
    """Work of Python's own and nothing else: what times of several machines are held against, to compare them."""
    table: dict[int, int] = {}
    for number in range(STEPS):
        key = number * 31 & 0xFFF
        table[key] = table.get(key, 0) ^ number


def _distant_places() -> array[int]:
    """Each names the next, by a congruential generator that comes by all of them before it comes by one again."""
    return array("Q", ((at * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) % READS for at in range(READS)))


def _reads(places: array[int]) -> None:
    """Steps of Python's own that read memory where nobody has been lately: what large rules are held against."""
    at = 0
    for _ in range(STEPS):
        at = places[at]


def _one_of(steps: Callable[[], None]) -> float:
    """The time of one of STEPS steps, when nothing else disturbs them."""
    return min(timed(steps)[1] for _ in range(7)) / STEPS


def _measure_edit(tenant: Tenant, compiler: Compiler, digester: Digester) -> dict[str, float]:
    """One permission changes; all the others are new objects, as a loader hands them over that read a file again."""
    times: list[tuple[float, float]] = []
    for number in range(3 if len(tenant.users) <= MANY else 1):
        edited = _edited(tenant, number)
        digest, digest_s = timed(partial(digester.digest, edited))
        compilation = partial(compiler.compile, edited, Revision(number + 2, digest), compiled_at=0.0)
        _, compile_s = timed(compilation)
        times.append((digest_s, compile_s))
    return {
        "edit_digest_s": statistics.median(time_ for time_, _ in times),
        "edit_compile_s": statistics.median(time_ for _, time_ in times),
    }


def _edited(tenant: Tenant, number: int) -> Tenant:
    """The tenant with one permission changed, all of it new objects."""
    rules = list(tenant.call_permissions)
    at = (len(rules) // 2 + number) % len(rules)
    rules[at] = replace(rules[at], extensions=(f"_0049{number}X.",))
    edited: Tenant = pickle.loads(pickle.dumps(replace(tenant, call_permissions=tuple(rules))))  # noqa: S301 - own data
    return edited


def _measure_republishing(tenant: Tenant) -> dict[str, float]:
    """One permission changes at the source: until Redis has it, and until a server that follows decides by it."""
    source = GivenSource(tenant)
    with RedisServer() as redis:
        publisher = RedisPublisher(open_redis(redis.url), "redis", secret=SECRET)
        loader = Synchronizer(source, publisher, secret=SECRET, password_override=PasswordOverride.ALL)
        current = CurrentSnapshots("redis")
        follower = Follower(open_redis(redis.url), current, Metrics(current, ""), secrets=(SECRET,), recheck=3600)
        loader.sync()
        follower.start()
        until(lambda: current.ready, "the server has loaded", deadline=120)
        times: list[tuple[float, float]] = []
        for number in range(10, 13):
            source.tenants = (_edited(tenant, number),)
            begun = time.perf_counter()
            revision = loader.sync().published[0].revision
            published = time.perf_counter() - begun
            until(lambda: current.held()[0].snapshot.revision == revision, "the server has followed", deadline=120)
            times.append((published, time.perf_counter() - begun))
        follower.stop()
    return {
        "edit_published_s": statistics.median(published for published, _ in times),
        "edit_decided_s": statistics.median(decided for _, decided in times),
    }


def _measure_decide(snapshot: Snapshot, calls: list[Call]) -> dict[str, float]:
    """Time per decision in chunks of a hundred calls, each asked with strings that nobody has seen before."""
    chunks: list[float] = []
    for _ in range(3):
        for start in range(0, len(calls) - CHUNK + 1, CHUNK):
            # As from a request: equal strings that are other objects, so neither hash nor encoding is cached.
            fresh = [tuple(text.encode().decode() for text in call) for call in calls[start : start + CHUNK]]
            begun = time.perf_counter()
            for caller, extension, outcall in fresh:
                snapshot.decide(caller, extension, outcall)
            chunks.append((time.perf_counter() - begun) / CHUNK)
    ordered = sorted(chunks)
    return {
        "decide_s": statistics.median(ordered),
        "decide_p10_s": ordered[len(ordered) // 10],
        "decide_p90_s": ordered[len(ordered) * 9 // 10],
        "decide_p99_s": ordered[len(ordered) * 99 // 100],
        "chunks": len(ordered),
    }


def _server_rss(blob: bytes) -> float:
    """What a process that holds nothing but this snapshot needs more than one that holds none."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from bench.facts import resident\n"
        "from pdp.rules.snapshot.snapshot import decode\n"
        "before = resident('VmRSS')\n"
        "snapshot = decode(Path(sys.argv[1]).read_bytes())\n"
        "print(resident('VmRSS') - before)\n"
    )
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(blob)
        done = subprocess.run([sys.executable, "-c", program, file.name], capture_output=True, check=True, text=True)
    return float(done.stdout)


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    size = int(sys.argv[1])
    print(json.dumps(measure_compiled(size) if "--compiled" in sys.argv else measure(size, CALLS)))
