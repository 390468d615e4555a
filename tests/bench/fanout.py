"""What one Redis and one server stand: a hundred followers of one edit, and ten thousand tenants in one server.

- *followers*: a hundred servers' followers, in a few processes, each with its own connection and its own copy of the
  rules. A large tenant is swapped; the time until each of them decides by it, what Redis sent, and its processor time.
  All of it shares this machine's cores, which is what such a number costs in all, not what it costs each.
- *tenants*: as many small tenants, published by a loader and followed by a server: how long each takes, memory, what a
  look at all pointers sends, and how long a caller takes who is known, and one whom no tenant knows, the first time and
  later.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
import uuid
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog
from given import GivenSource
from load.prepare import module_environment
from redis_server import RedisServer
from waiting import until

from bench.cached import KEY, Published, Rules
from bench.facts import cpu_seconds, resident, timed
from loader.cycle import Synchronizer
from loader.publishing.publish import RedisPublisher
from pdp.metrics.registry import Metrics
from pdp.rules.model import CallPermission, PasswordOverride, Tenant, User
from pdp.rules.publication.keys import without_credentials
from pdp.snapshots.current import CurrentSnapshots
from pdp.snapshots.follower import Follower
from rightcall.redis_url import open_redis

if TYPE_CHECKING:
    from redis import Redis

    from bench.parts import Options

FOLLOWERS: Final = 100
TENANTS: Final = 10_000
_PROCESSES: Final = 4
_USERS: Final = 10
_DEADLINE: Final = 300.0

Results = dict[str, Any]


def measure(options: Options) -> Results:
    """Both."""
    scale = 100 if options.quick else 1
    return {
        "followers": _followers(Rules(options.permissions), max(FOLLOWERS // scale, _PROCESSES)),
        "tenants": _tenants(TENANTS // scale),
    }


def lines(results: Results) -> list[str]:
    """The figures."""
    return [f"{part}: {name} {value:,.6g}" for part, found in results.items() for name, value in found.items()]


def _followers(rules: Rules, count: int) -> dict[str, float]:
    with RedisServer() as redis:
        published = Published(redis, rules)
        assert redis._process is not None
        server, client = redis._process.pid, redis.client()
        share = count // _PROCESSES
        crews = [
            subprocess.Popen(
                [sys.executable, "-m", "bench.fanout", redis.url, str(share)],
                env=module_environment(),
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(_PROCESSES)
        ]
        try:
            for crew in crews:
                _hear(crew)
            # Back to the first edition, which is no successor of the last one; then to its successors.
            swaps = {name: _swap(client, server, published, crews) for name in ("whole", "delta", "next delta")}
        finally:
            for crew in crews:
                crew.kill()
                crew.communicate()
            published.close()
    found = {"followers": float(share * _PROCESSES), "snapshot, MB": rules.path.stat().st_size / 1e6}
    return found | {f"{kind}: {name}": value for kind, one in swaps.items() for name, value in one.items()}


def _swap(client: Redis, server: int, published: Published, crews: list[subprocess.Popen[str]]) -> dict[str, float]:
    """Swaps a tenant, and hears from all followers."""
    before, cpu = client.info()["total_net_output_bytes"], cpu_seconds(server)
    begun = time.time()
    published.swap()
    ordered = sorted(at - begun for crew in crews for at in _hear(crew))
    return {
        "first to decide, s": ordered[0],
        "half of them, s": ordered[len(ordered) // 2],
        "last, s": ordered[-1],
        "sent by Redis, MB": (client.info()["total_net_output_bytes"] - before) / 1e6,
        "processor time of Redis, s": cpu_seconds(server) - cpu,
    }


def _hear(crew: subprocess.Popen[str]) -> list[float]:
    assert crew.stdout is not None
    found: list[float] = json.loads(crew.stdout.readline())
    return found


def _follow(url: str, count: int) -> None:
    """A process of followers: says when each had the first rules, then of every change when it had it."""
    held = [CurrentSnapshots(url) for _ in range(count)]
    for current in held:
        Follower(open_redis(url, answer_timeout=_DEADLINE), current, Metrics(current, ""), secrets=(KEY,)).start()
    seen: list[object] = [None] * count
    at = [0.0] * count
    while True:
        waiting = set(range(count))
        while waiting:
            for number in list(waiting):
                now = next((one.snapshot for one in held[number].held()), None)
                if now is not None and now is not seen[number]:
                    seen[number], at[number] = now, time.time()
                    waiting.discard(number)
            time.sleep(0.005)
        print(json.dumps(at), flush=True)


def _tenants(count: int) -> dict[str, float]:
    source = GivenSource(*map(_tenant, range(count)))
    found: dict[str, float] = {"tenants": float(count), "users in each": float(_USERS)}
    with RedisServer() as redis, open_redis(redis.url) as client:
        publisher = RedisPublisher(client, without_credentials(redis.url), secret=KEY)
        loader = Synchronizer(source, publisher, secret=KEY, password_override=PasswordOverride.ALL)
        found["publish all, s"] = timed(loader.sync)[1]
        found["look and find nothing changed, s"] = timed(loader.sync)[1]
        before = resident("VmRSS")
        current = CurrentSnapshots("redis")
        metrics = Metrics(current, "")
        follower = Follower(open_redis(redis.url), current, metrics, secrets=(KEY,))
        begun = time.perf_counter()
        follower.start()
        until(lambda: len(current.held()) == count, "all tenants are loaded", deadline=_DEADLINE)
        found["follow all, s"] = time.perf_counter() - begun
        found["memory a tenant, kB"] = (resident("VmRSS") - before) / count / 1e3
        info = client.info()
        client.hgetall("rightcall:{pointers}")
        sent = client.info()["total_net_output_bytes"] - info["total_net_output_bytes"]
        found["a look at all pointers, kB"] = sent / 1e3
        follower.stop()
    known, stranger = source.tenants[count // 2].users[0].uuid, str(uuid.uuid4())
    for name, caller in (("known", known), ("unknown", stranger)):
        for when in ("first call", "later"):
            found[f"{name} caller, {when}, µs"] = timed(partial(current.resolve, caller, "", ""))[1] * 1e6
    return found


def _tenant(number: int) -> Tenant:
    users = tuple(User(str(uuid.UUID(int=number * _USERS + at + 1))) for at in range(_USERS))
    rules = tuple(
        CallPermission(at + 1, f"permission {at}", extensions=(f"_00{at}{number}X.",), users=(user.uuid,))
        for at, user in enumerate(users)
    )
    return Tenant(str(uuid.UUID(int=number + 1)), f"tenant {number}", users, call_permissions=rules)


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    _follow(sys.argv[1], int(sys.argv[2]))
