"""Of several loaders one leads, and a paused one that wakes up overwrites nothing."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import pytest
from given import ACME, KEY, GivenSource, denying
from redis_server import RedisServer
from waiting import until

from loader.cycle import Synchronizer
from loader.errors import PublishError
from loader.publishing.lease import Lease
from loader.publishing.publish import Origin, RedisPublisher
from pdp.rules.model import PasswordOverride
from pdp.rules.publication.keys import Keys
from rightcall.redis_url import open_redis

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loader.report import SyncReport

SHORT = 0.6
"""Seconds of a lease in these tests."""


class Loader:
    """A loader with a claim to lead, in threads of this process."""

    def __init__(self, server: RedisServer, name: str, source: GivenSource) -> None:
        client = open_redis(server.url)
        self.lease = Lease(client, "redis", name, seconds=SHORT)
        publisher = RedisPublisher(client, "redis", origin=Origin(name), secret=KEY, lease=self.lease)
        self.synchronizer = Synchronizer(source, publisher, secret=KEY, password_override=PasswordOverride.ALL)
        self.reports: list[SyncReport] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        """Begins to claim the lead and to load."""
        self.lease.start()
        self._thread.start()

    def stop(self) -> None:
        """Ends in order."""
        self._stop.set()
        self._thread.join()
        self.lease.stop()

    def _run(self) -> None:
        self.synchronizer.run(self._stop, self.reports.append, self.lease)


@contextlib.contextmanager
def running(*loaders: Loader) -> Iterator[None]:
    """The loaders, running."""
    for loader in loaders:
        loader.start()
    try:
        yield
    finally:
        for loader in loaders:
            loader.stop()


def test_one_of_several_loaders_leads_and_the_others_wait(redis: RedisServer) -> None:
    """Those who do not lead read and publish nothing."""
    loaders = [Loader(redis, name, GivenSource(denying("118"))) for name in ("one", "two", "three")]
    with running(*loaders):
        until(lambda: any(loader.reports for loader in loaders), "one has published")
        until(lambda: all(loader.lease.leader for loader in loaders), "all know who leads")
        assert sum(loader.lease.leading for loader in loaders) == 1
        assert [bool(loader.reports) for loader in loaders] == [loader.lease.leading for loader in loaders]
        assert len({loader.lease.leader for loader in loaders}) == 1


def test_another_loader_takes_over_at_once_when_the_leader_ends_in_order(redis: RedisServer) -> None:
    """It gives the lease back instead of letting it expire."""
    first, second = (Loader(redis, name, GivenSource(denying("118"))) for name in ("one", "two"))
    with running(first):
        until(lambda: first.reports, "the first has published")
        with running(second):
            first.lease.stop()
            until(lambda: second.lease.leading, "the second leads")


def test_another_loader_takes_over_when_the_leader_dies(redis: RedisServer) -> None:
    """Whoever stops renewing loses the lead when the lease expires."""
    dead = Lease(open_redis(redis.url), "redis", "dead", seconds=SHORT)
    assert dead.claim()
    heir = Loader(redis, "heir", GivenSource(denying("118")))
    with running(heir):
        until(lambda: heir.lease.leading, "it has taken over")
        until(lambda: heir.reports and heir.reports[-1].unchanged, "it publishes")


def test_a_paused_leader_that_wakes_up_cannot_overwrite_newer_rules(redis: RedisServer) -> None:
    """It still believes that it leads; Redis, asked in the same step, knows better."""
    old_source, new_source = GivenSource(denying("118")), GivenSource(denying("117"))
    paused, heir = Loader(redis, "paused", old_source), Loader(redis, "heir", new_source)
    assert paused.lease.claim()
    paused.synchronizer.sync()
    with redis.client() as client:
        client.delete(Keys().leader)  # expired while it was paused
        assert heir.lease.claim()
        assert heir.synchronizer.sync().published
        pointer = client.hget(Keys().pointers, ACME)
        assert paused.lease.leading
        old_source.tenants = (denying("116"),)
        report = paused.synchronizer.sync()
        assert "this loader no longer leads" in report.error
        assert report.published == ()
        assert client.hget(Keys().pointers, ACME) == pointer
    assert not paused.lease.claim()
    assert paused.lease.leader == "heir"


def test_the_lead_survives_a_short_absence_of_redis(redis: RedisServer) -> None:
    """A hung Redis is reported, and the lease goes on when it is back; a Redis that lost it gives a new one."""
    source = GivenSource(denying("118"))
    loader = Loader(redis, "one", source)
    with running(loader):
        until(lambda: loader.reports, "it has published")
        redis.kill()
        until(lambda: loader.reports[-1].error, "it has noticed")
        redis.start()
        until(lambda: loader.reports[-1].published or loader.reports[-1].unchanged, "it publishes again")
        assert loader.lease.leading


def test_without_the_lead_nothing_is_published(redis: RedisServer) -> None:
    """A loader that never led moves no pointer."""
    loader = Loader(redis, "one", GivenSource(denying("118")))
    assert "this loader no longer leads" in loader.synchronizer.sync().error


def test_a_claim_tells_when_redis_cannot_be_asked() -> None:
    """An error with what to check, not a lead that may be somebody else's."""
    server = RedisServer()
    with pytest.raises(PublishError, match="check that it is up"):
        Lease(open_redis(server.url), "redis", "one").claim()
