"""Redis behind an address that moves: the old master goes on answering as a replica, and everybody has to leave it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from doctors import examined
from followers import Replica, replica
from given import ALICE, KEY, GivenSource, denying
from moving_address import MovingAddress
from redis_server import RedisServer
from server import running_server
from structlog.testing import capture_logs
from waiting import until

from loader.cycle import Synchronizer
from loader.publishing.lease import Lease
from loader.publishing.publish import RedisPublisher
from pdp.challenges.attempts import Limits, TurnState
from pdp.challenges.attempts_redis import RedisAttempts
from pdp.errors import AttemptsUnavailable
from pdp.rules.model import PasswordOverride
from rightcall.redis_url import open_redis

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMITS = Limits(attempts=3, lockout_seconds=900)


class Pair:
    """A master, its replica, and the one address by which programs know them."""

    def __init__(self, master: RedisServer, other: RedisServer, address: MovingAddress) -> None:
        self.master = master
        self.other = other
        self.address = address
        self.url = f"redis://127.0.0.1:{address.port}/0"

    def fail_over(self) -> None:
        """Promotes the replica, demotes the master to a replica of nothing that tells it of edits, and moves."""
        with self.master.client() as old, self.other.client() as new:
            written = old.info("replication")["master_repl_offset"]
            until(lambda: new.info("replication").get("slave_repl_offset", 0) >= written, "the replica has it all")
            new.replicaof("NO", "ONE")
            old.replicaof("127.0.0.1", "1")
        self.address.target = self.other.port


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A master with a replica, behind an address."""
    with RedisServer() as master, RedisServer() as other, MovingAddress(master.port) as address:
        with other.client() as client:
            client.replicaof("127.0.0.1", str(master.port))
        yield Pair(master, other, address)


class Loader:
    """A loader with a lease that is renewed, as the command line makes it."""

    def __init__(self, url: str) -> None:
        client = open_redis(url)
        self.source = GivenSource(denying("118"))
        self.lease = Lease(client, "redis", "one")
        publisher = RedisPublisher(client, "redis", secret=KEY, lease=self.lease)
        self._synchronizer = Synchronizer(self.source, publisher, secret=KEY, password_override=PasswordOverride.ALL)

    def load(self, extension: str) -> bool:
        """Denies this extension; whether that was published."""
        self.source.tenants = (denying(extension),)
        self.lease.claim()
        report = self._synchronizer.sync()
        return not report.error and bool(report.published or report.unchanged)


def test_edits_and_attempts_go_on_after_a_failover_behind_one_address(pair: Pair) -> None:
    """Loader, server and counters leave the old master, though every connection to it still works."""
    loader = Loader(pair.url)
    attempts = RedisAttempts(open_redis(pair.url), LIMITS)
    with replica(pair.url, recheck=0.5) as server:
        assert loader.load("118")
        until(lambda: server.denies("118"), "it has loaded")
        assert attempts.take("alice", "1", "n").state is TurnState.TAKEN
        pair.fail_over()
        assert loader.load("117"), "the loader repeats over a new connection what the old master refused"
        until(lambda: server.denies("117"), "the server follows the new master")
        assert attempts.take("alice", "1", "n").left == 1, "counted once, by the new master"
        until(lambda: server.current.source_error == "", "it says that all is well")
        assert shown(server, "rightcall_redis_replica") == 0


def test_a_redis_that_stays_a_replica_is_told_of_in_status_metric_and_log(pair: Pair) -> None:
    """The server goes on deciding and following; what to do is in the status, and in what the doctor sees."""
    loader = Loader(pair.url)
    with pair.other.client() as client:
        assert loader.load("118")
        until(lambda: client.exists("rightcall:{pointers}"), "it is replicated")
    url = f"redis://127.0.0.1:{pair.other.port}/0"
    with capture_logs() as logs, replica(url, recheck=0.2) as server, running_server(current=server.current) as running:
        until(lambda: "it is a replica" in server.current.source_error, "it says so")
        until(lambda: shown(server, "rightcall_redis_replica") == 1, "so does the metric")
        assert server.redis_up() == 1
        assert server.denies("118")
        assert loader.load("117")
        until(lambda: server.denies("117"), "it follows all the same")
        until(lambda: server.reloads("failure", "replica") >= 1, "it is counted")
        report = examined("--target", running.server.address, "--http", "none")
    assert "give the master's address" in report.told["server source"]
    assert any(line["event"] == "redis_is_replica" for line in logs)


def test_a_password_is_not_looked_at_where_redis_stays_a_replica(pair: Pair) -> None:
    """Nobody can count attempts there, so none is accepted; the log says why."""
    with pair.other.client() as client:
        until(lambda: client.info("replication")["master_link_status"] == "up", "it follows")
    attempts = RedisAttempts(open_redis(f"redis://127.0.0.1:{pair.other.port}/0"), LIMITS)
    with capture_logs() as logs, pytest.raises(AttemptsUnavailable):
        attempts.take(ALICE, "1", "n")
    assert logs[-1]["error"] == "ReplicaError"


def shown(server: Replica, metric: str) -> float | None:
    """What a metric without labels says."""
    return server.metrics.registry.get_sample_value(metric)
