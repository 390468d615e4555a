"""A loader, an operator and a server that follows over Redis, in this very process."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from followers import loader_to, publisher_to
from given import ACME, KEY, GivenSource, denying
from waiting import until

from loader.cycle import Synchronizer
from loader.publishing.candidate_publisher import CandidatePublisher
from loader.publishing.revisions import Revisions
from pdp.metrics.registry import Metrics
from pdp.rules.model import PasswordOverride
from pdp.snapshots.current import CurrentSnapshots
from pdp.snapshots.follower import Follower
from rightcall.redis_url import open_redis

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis_server import RedisServer

    from pdp.rules.model import Tenant


class Fleet:
    """A loader, an operator and a server that follows over Redis."""

    def __init__(self, redis: RedisServer) -> None:
        self.client = open_redis(redis.url)
        self.revisions = Revisions(self.client, "redis", secret=KEY)
        self.source = GivenSource(denying("118"))
        self.loader = loader_to(redis, self.source, keep=2)
        self.beside = CandidatePublisher(publisher_to(redis, keep=2))
        self.loader.sync()
        self.current = CurrentSnapshots("redis")
        self.metrics = Metrics(self.current, "test")
        self.follower = Follower(self.client, self.current, self.metrics, secrets=(KEY,), recheck=0.1)

    def publish(self, *extensions: str) -> None:
        """Makes rules current."""
        self.source.tenants = (denying(*extensions),)
        assert self.loader.sync().published

    def propose(self, tenant: Tenant) -> str:
        """Makes a candidate of definitions; returns its revision."""
        loader = Synchronizer(GivenSource(tenant), self.beside, secret=KEY, password_override=PasswordOverride.ALL)
        assert not loader.sync().error
        (candidate,) = self.revisions.candidates()
        return str(candidate.revision)

    @property
    def candidate(self) -> str:
        """The revision that the server compares with; empty: none."""
        held = self.current.candidates.get(ACME)
        return str(held.revision) if held is not None else ""


@contextmanager
def fleet_over(redis: RedisServer) -> Iterator[Fleet]:
    """A fleet whose server has loaded a tenant that denies 118."""
    made = Fleet(redis)
    made.follower.start()
    try:
        until(lambda: made.current.get(ACME) is not None, "it has loaded")
        yield made
    finally:
        made.follower.stop()
