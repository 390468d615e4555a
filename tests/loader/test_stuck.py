"""A loader whose cycle stands still gives the lead to another one."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from given import KEY, GivenSource, denying
from server import DEADLINE
from waiting import until

from loader.cycle import Synchronizer
from loader.metrics.registry import LoaderMetrics
from loader.publishing.lease import Lease
from loader.publishing.publish import RedisPublisher
from pdp.rules.model import PasswordOverride
from pdp.runtime import watchdog
from rightcall.programs.loader_health import LoaderHealth
from rightcall.programs.loader_watch import LoaderWatch
from rightcall.redis_url import open_redis

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest
    from redis_server import RedisServer

    from loader.sources.base import Reading


class HangingSource(GivenSource):
    """Its readings hang while ``go_on`` is not set."""

    def __init__(self) -> None:
        super().__init__(denying("0900"))
        self.go_on = threading.Event()
        self.go_on.set()

    def read(self) -> Reading:
        """What it was given, some time."""
        self.go_on.wait()
        return super().read()


class Loader:
    """A loader with all that watches over it, in this process."""

    def __init__(self, redis: RedisServer, source: GivenSource, name: str) -> None:
        client = open_redis(redis.url)
        self.lease = Lease(client, "redis", name, seconds=1.0)
        publisher = RedisPublisher(client, "redis", secret=KEY, lease=self.lease)
        self._synchronizer = Synchronizer(source, publisher, secret=KEY, password_override=PasswordOverride.ALL)
        self.watch = LoaderWatch(self._synchronizer, None)
        self.lease.fit = lambda: not self.watch.stuck
        self.metrics = LoaderMetrics("1", lambda: self.lease.leading, stuck=lambda: self.watch.stuck)
        self.health = LoaderHealth(self.lease, self.metrics, late=60.0)

    @contextmanager
    def running(self, source: HangingSource) -> Iterator[None]:
        """Runs it within the block."""
        stop = threading.Event()
        thread = threading.Thread(target=self._synchronizer.run, args=(stop, self.metrics.note, self.lease))
        self.lease.start()
        thread.start()
        try:
            with self.watch.over(thread):
                yield
        finally:
            stop.set()
            source.go_on.set()
            thread.join(DEADLINE)
            self.lease.stop()


def test_another_loader_leads_while_one_is_stuck(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Metric, liveness and readiness say so; the one that goes on again stands by."""
    monkeypatch.setattr(watchdog, "LOOK_SECONDS", 0.1)
    source, other = HangingSource(), HangingSource()
    one, two = Loader(redis, source, "one"), Loader(redis, other, "two")
    with one.running(source):
        until(lambda: one.health().ready and one.lease.leading, "the first one leads")
        with two.running(other):
            until(lambda: two.lease.leader == "one", "the second one stands by")
            source.go_on.clear()
            until(lambda: two.lease.leading, "the second one leads")
            assert one.metrics.registry.get_sample_value("rightcall_loader_stuck") == 1
            assert (one.metrics.alive, one.health().ready) == (False, False)
            assert one.lease.token == b""
            until(lambda: two.metrics.last_success > 0, "the second one publishes")
            source.go_on.set()
            until(lambda: one.health().reason == "ready: standing by while two leads", "the first one stands by")


def test_what_is_compiled_and_stands_still_is_noticed(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cycle goes on meanwhile, so its thread does not tell."""
    monkeypatch.setattr(watchdog, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(watchdog, "STUCK_SECONDS", 0.5)
    release = threading.Event()
    monkeypatch.setattr(Synchronizer, "_compile", lambda *_: release.wait() and b"")
    source = HangingSource()
    loader = Loader(redis, source, "one")
    with loader.running(source):
        until(lambda: not loader.metrics.alive, "it is noticed")
        until(lambda: not loader.lease.leading, "the lead is given up")
        monkeypatch.undo()
        release.set()
        until(lambda: loader.metrics.alive, "it is over")
