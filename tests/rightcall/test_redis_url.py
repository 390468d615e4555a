"""Redis as operators run it, reached through the URL alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from followers import replica
from given import KEY, GivenSource, denying
from pki import Authority
from redis_server import RedisServer
from redis_topologies import ClusterSet, SentinelSet
from waiting import until

from loader.cycle import Synchronizer
from loader.errors import PublishError
from loader.publishing.lease import Lease
from loader.publishing.publish import RedisPublisher
from loader.publishing.revisions import Revisions
from loader.report import SyncReport
from pdp.challenges.attempts import Limits
from pdp.challenges.attempts_redis import RedisAttempts
from pdp.challenges.delays import Guess, Paces
from pdp.challenges.delays_redis import RedisDelays
from pdp.rules.model import PasswordOverride
from pdp.rules.publication.keys import without_credentials
from rightcall.redis_url import RedisUrlError, open_redis

if TYPE_CHECKING:
    from pathlib import Path

    from redis import Redis


class Loader:
    """A loader with a lease, as the command line makes it."""

    def __init__(self, url: str) -> None:
        client = open_redis(url)
        self.source = GivenSource(denying("118"))
        self.lease = Lease(client, "redis", "one")
        self.publisher = RedisPublisher(client, "redis", secret=KEY, lease=self.lease, keep=2)
        self._synchronizer = Synchronizer(
            self.source, self.publisher, secret=KEY, password_override=PasswordOverride.ALL
        )

    def load(self, extension: str) -> SyncReport:
        """Denies this extension."""
        self.source.tenants = (denying(extension),)
        self.lease.claim()
        return self._synchronizer.sync()


def test_a_cluster_is_published_to_and_followed() -> None:
    """Every step: lease, publication, pruning, notification, rollback; and PINs are counted."""
    with ClusterSet() as cluster:
        loader = Loader(cluster.url)
        assert loader.load("118").error == ""
        with replica(cluster.url) as server:
            until(lambda: server.denies("118"), "it has loaded")
            for extension in ("117", "116", "115"):
                assert loader.load(extension).published
                until(lambda: server.denies(extension), "it has followed")
            revisions = Revisions(open_redis(cluster.url), "redis", secret=KEY)
            kept = revisions.kept()
            assert len(kept) == 2
            revisions.roll_back(kept[1].tenant, str(kept[1].revision))
            until(lambda: server.denies("116"), "it has followed the rollback")
        _pins_are_counted(open_redis(cluster.url))


def _pins_are_counted(client: Redis) -> None:
    """Attempts and delays of tenants whose keys are on different nodes; listed and lifted over all nodes."""
    attempts, delays = RedisAttempts(client, Limits()), RedisDelays(client, Paces())
    tenants = ["acme", "bolt", "corp", "dyne"]
    for tenant in tenants:
        known = Guess(tenant, "12", "alice", "client", "right")
        delays.succeed(known, delays.take(known))
        for number in range(20):
            delays.take(Guess(tenant, "12", f"user {number}", "client", f"wrong {number}"))
        for _ in range(3):
            attempts.take(f"{tenant}/user/alice", "12", "nonce")

    assert sorted(one.subject for one in attempts.lockouts()) == [f"{tenant}/user/alice" for tenant in tenants]
    assert {(one.tenant, one.lane) for one in delays.delayed()} == {
        (tenant, lane) for tenant in tenants for lane in ("known", "common")
    }
    assert attempts.unlock("acme/user/alice")
    assert delays.end("acme", "12")
    assert {one.tenant for one in delays.delayed()} == set(tenants[1:])


def test_a_failover_of_sentinels_is_followed() -> None:
    """The master dies; loader and server go on with the new one, and no answer is taken away meanwhile."""
    with SentinelSet() as redis:
        loader = Loader(redis.url)
        assert loader.load("118").error == ""
        with replica(redis.url) as server:
            until(lambda: server.denies("118"), "it has loaded")
            redis.kill_master()
            assert server.denies("118")
            until(lambda: not _load(loader, "117").error, "the loader reaches the new master")
            # As a running loader: what a replica that had not caught up lacks is published again.
            until(lambda: not _load(loader, "117").error and server.denies("117"), "the server follows it", deadline=60)


def _load(loader: Loader, extension: str) -> SyncReport:
    try:
        return loader.load(extension)
    except Exception as error:  # noqa: BLE001 - the lease says that Redis cannot be asked
        return SyncReport(problems=(str(error),))


def test_a_user_with_a_password_and_a_database_number() -> None:
    """What an ACL user needs: the keys under the prefix, its scripts and the channel."""
    with RedisServer(password="of-the-default-user") as redis:
        with redis.client() as client:
            rights = ("~rightcall:*", "&rightcall:*", "+@all", "-@dangerous", "-@admin", "+info")
            client.execute_command("ACL", "SETUSER", "rightcall", "on", ">secret/with:odd@signs", *rights)
        url = f"redis://rightcall:secret%2Fwith%3Aodd%40signs@127.0.0.1:{redis.port}/3"
        loader = Loader(url)
        assert loader.load("118").error == ""
        with replica(url) as server:
            until(lambda: server.denies("118"), "it has loaded")


def test_redis_over_tls_is_reached_and_one_that_nobody_vouches_for_is_not(tmp_path: Path) -> None:
    """The authority is named in the URL; without it the certificate is not believed."""
    authority = Authority(tmp_path)
    pair = authority.issue("redis", addresses=("127.0.0.1",))
    with RedisServer(tls=(pair.chain, pair.key_file, authority.file)) as redis:
        assert Loader(redis.url).load("118").error == ""
        with replica(redis.url) as server:
            until(lambda: server.denies("118"), "it has loaded")
        with pytest.raises(PublishError, match="certificate verify failed"):
            RedisPublisher(open_redis(redis.url.partition("?")[0]), "redis").standing()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:6379",
        "http://localhost",
        "redis://:secret@localhost:port",
        "redis+sentinel://:secret@localhost",
        "redis+sentinel://:secret@/mymaster",
        "redis+sentinel://:secret@localhost/mymaster/zero",
        "redis+cluster://:secret@",
        "redis+magic://:secret@localhost",
    ],
)
def test_a_url_that_cannot_be_read_is_told_without_repeating_it(url: str) -> None:
    """It may hold a password; the message shows the forms that can be read."""
    with pytest.raises(RedisUrlError, match="write it as redis://") as caught:
        open_redis(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:secret@h:1/2?password=secret", "redis://h:1/2"),
        ("rediss+sentinel://:secret@a:1,b:2/main/0", "rediss+sentinel://a:1,b:2/main/0"),
        ("unix://:secret@/run/redis.sock?db=1", "unix:///run/redis.sock"),
        ("redis://:12/secret@h", "redis://…"),
        ("redis://:secret?2@h", "redis://…"),
        ("redis://:secret#2@h", "redis://…"),
        ("redis://h/0?password=se@cret", "redis://…"),
    ],
)
def test_people_are_shown_a_url_without_its_credentials(url: str, shown: str) -> None:
    """In status, logs and errors."""
    assert without_credentials(url) == shown
