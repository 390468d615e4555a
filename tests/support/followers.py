"""A loader's inside and a server's, in this very process, with a real Redis in between."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from given import ACME, ALICE, KEY

from loader.cycle import Synchronizer
from loader.publishing.publish import DEFAULT_KEEP, RedisPublisher
from pdp.errors import CallError
from pdp.metrics.registry import Metrics
from pdp.rules.model import PasswordOverride
from pdp.rules.publication.keys import without_credentials
from pdp.snapshots.current import CurrentSnapshots
from pdp.snapshots.follower import Follower
from rightcall.redis_url import open_redis

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from given import GivenSource
    from redis_server import RedisServer

    from loader.removal import RemovalGuard
    from pdp.snapshots.disk import SnapshotStore


def publisher_to(server: RedisServer, *, secret: bytes | None = KEY, keep: int = DEFAULT_KEEP) -> RedisPublisher:
    """A publisher as the command line makes it."""
    return RedisPublisher(open_redis(server.url), without_credentials(server.url), secret=secret, keep=keep)


def loader_to(
    server: RedisServer,
    source: GivenSource,
    *,
    secret: bytes | None = KEY,
    keep: int = DEFAULT_KEEP,
    guard: RemovalGuard | None = None,
) -> Synchronizer:
    """The inside of a loader as the command line makes it, without a lease."""
    publisher = publisher_to(server, secret=secret, keep=keep)
    return Synchronizer(source, publisher, secret=secret, password_override=PasswordOverride.ALL, guard=guard)


class Replica:
    """What a server holds that follows Redis."""

    def __init__(
        self,
        url: str,
        *,
        recheck: float = 0.2,
        secrets: Sequence[bytes] = (KEY,),
        store: SnapshotStore | None = None,
        **more: Any,
    ) -> None:
        self.current = CurrentSnapshots(without_credentials(url))
        self.metrics = Metrics(self.current, "test")
        self.follower = Follower(
            open_redis(url), self.current, self.metrics, secrets=secrets, recheck=recheck, store=store, **more
        )

    def denies(self, extension: str, tenant: str = ACME, caller: str = ALICE) -> bool:
        """Whether it denies a call; of a tenant that it does not hold, it does not."""
        held = self.current.get(tenant)
        return held is not None and held.snapshot.decide(caller, extension, "").decision.name == "DENY"

    def number(self, tenant: str = ACME) -> int:
        """The number of the revision that it holds; 0 for none."""
        held = self.current.get(tenant)
        return held.snapshot.revision.number if held else 0

    def answer(self, caller: str = ALICE, extension: str = "118", tenant: str = "") -> str:
        """What a call is answered, in one word: a decision, or the name of the error instead."""
        try:
            snapshot = self.current.resolve(caller, "", tenant)
        except CallError as error:
            return type(error).__name__
        return snapshot.decide(caller, extension, "").decision.name if snapshot else "ALLOW"

    def metric(self, name: str) -> float | None:
        """What a metric without labels says."""
        return self.metrics.registry.get_sample_value(name)

    def reloads(self, result: str, cause: str = "") -> float:
        """How many reloads came to this."""
        labels = {"source": "redis", "result": result, "cause": cause}
        return self.metrics.registry.get_sample_value("rightcall_reloads_total", labels) or 0.0

    def redis_up(self) -> float | None:
        """The metric of that name."""
        return self.metrics.registry.get_sample_value("rightcall_redis_up")


@contextlib.contextmanager
def replica(
    url: str,
    *,
    recheck: float = 0.2,
    secrets: Sequence[bytes] = (KEY,),
    store: SnapshotStore | None = None,
    **more: Any,
) -> Iterator[Replica]:
    """A replica that follows; ``more`` is for its ``Follower``."""
    made = Replica(url, recheck=recheck, secrets=secrets, store=store, **more)
    made.follower.start()
    try:
        yield made
    finally:
        made.follower.stop()
