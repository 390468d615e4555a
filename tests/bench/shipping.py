"""What one edit of a large tenant costs on its way through Redis to a server, and for how long it holds answers up.

    PYTHONPATH=.:tests:tests/support .venv/bin/python tests/bench/shipping.py [PERMISSIONS [EDITS]]

A loader's inside in this process, a real Redis, and a follower in a process of its own, in which another thread does
nothing but look at the clock: between two looks it was held up. Prints one JSON object.
"""

from __future__ import annotations

import json
import logging
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, cast

import structlog
from given import GivenSource
from redis_server import RedisServer
from waiting import until

from bench.measure import SECRET, _edited
from bench.workload import make_workload
from loader.cycle import Synchronizer
from loader.publishing.publish import RedisPublisher
from pdp.metrics.registry import Metrics
from pdp.rules.model import PasswordOverride
from pdp.snapshots.current import CurrentSnapshots
from pdp.snapshots.follower import Follower
from rightcall.redis_url import open_redis

if TYPE_CHECKING:
    from redis import Redis

SETTLE = 1.0
"""Seconds after a change until a look is taken at what it came to: what it left behind is freed within them."""
SWITCH = 0.001
"""As a server sets it."""
MILLI = 1e-3


@dataclass
class Edit:
    """What one edit cost: seconds and bytes."""

    published: float
    decided: float
    sent: int
    fetched: int
    pause: float
    quiet: float
    """The longest pause in as much time without an edit: what the machine itself is good for."""


class Report(NamedTuple):
    """What the follower says of itself once a second, and a second after each change."""

    number: int
    """Of the revision that it has."""
    at: float
    """Since when, by ``time.perf_counter``."""
    pause: float
    """The longest one since the last report."""


@dataclass
class Followed:
    """What the follower has said."""

    last: Report = field(default_factory=lambda: Report(0, 0.0, 0.0))
    reports: int = 0


def measure(permissions: int, edits: int) -> dict[str, object]:
    """Everything about a tenant of that size."""
    source = GivenSource(make_workload(permissions, calls=10).tenant)
    with RedisServer() as redis, redis.client() as client:
        publisher = RedisPublisher(open_redis(redis.url), "redis", secret=SECRET)
        loader = Synchronizer(source, publisher, secret=SECRET, password_override=PasswordOverride.ALL)
        size = loader.sync().published[0].size
        with subprocess.Popen([sys.executable, __file__, "follow", redis.url], stdout=subprocess.PIPE) as process:
            seen = _listen(process)
            until(lambda: seen.last.number, "it has loaded", deadline=120)
            made = [_edit(loader, source, client, seen, number) for number in range(edits)]
            process.terminate()
    figures: dict[str, object] = {"permissions": permissions, "edits": edits, "blob_bytes": size}
    for name in ("sent", "fetched", "published", "decided", "pause", "quiet"):
        values = sorted(getattr(edit, name) for edit in made)
        figures[name] = {"median": statistics.median(values), "p99": values[int(len(values) * 0.99)]}
    return figures


def _edit(loader: Synchronizer, source: GivenSource, client: Redis, seen: Followed, number: int) -> Edit:
    source.tenants = (_edited(source.tenants[0], number),)
    reports = seen.reports
    until(lambda: seen.reports >= reports + 2, "a whole second went by")
    quiet, before = seen.last.pause, _traffic(client)
    begun = time.perf_counter()
    revision = loader.sync().published[0].revision
    published = time.perf_counter() - begun
    until(lambda: seen.last.number == revision.number, "the follower has followed", deadline=120)
    last, after = seen.last, _traffic(client)
    return Edit(published, last.at - begun, after[0] - before[0], after[1] - before[1], last.pause, quiet)


def _traffic(client: Redis) -> tuple[int, int]:
    """What Redis has received and sent so far, in bytes."""
    stats = cast("dict[str, int]", client.info("stats"))
    return stats["total_net_input_bytes"], stats["total_net_output_bytes"]


def _listen(process: subprocess.Popen[bytes]) -> Followed:
    """What the follower last told, kept up to date."""
    seen, lines = Followed(), process.stdout
    assert lines is not None

    def read() -> None:
        for line in lines:
            seen.last = Report(**json.loads(line))
            seen.reports += 1

    threading.Thread(target=read, daemon=True).start()
    return seen


def follow(url: str) -> None:
    """Follows, and tells again and again which revision it has since when, and the longest pause of late."""
    sys.setswitchinterval(SWITCH)
    current = CurrentSnapshots("redis")
    follower = Follower(open_redis(url), current, Metrics(current, ""), secrets=(SECRET,), recheck=3600)
    pauses: list[float] = []
    threading.Thread(target=_look_at_the_clock, args=(pauses,), daemon=True).start()
    follower.start()
    number, at, due = 0, 0.0, time.perf_counter() + SETTLE
    while True:
        time.sleep(MILLI)
        held = current.held()
        if held and held[0].snapshot.revision.number != number:
            number, at = held[0].snapshot.revision.number, time.perf_counter()
            due = at + SETTLE
        del held
        if time.perf_counter() >= due:
            worst, pauses[:] = max(pauses, default=0.0), []
            print(json.dumps(Report(number, at, worst)._asdict()), flush=True)
            due += SETTLE


def _look_at_the_clock(pauses: list[float]) -> None:
    """Keeps the pauses of more than a millisecond."""
    clock = time.perf_counter
    last = clock()
    while True:
        now = clock()
        if now - last > MILLI:
            pauses.append(now - last)
        last = now


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    if sys.argv[1:2] == ["follow"]:
        follow(sys.argv[2])
    else:
        numbers = [int(argument) for argument in sys.argv[1:]]
        print(json.dumps(measure(*(numbers + [100_000, 20][len(numbers) :])), indent=1))
