"""How edits of large tenants get from Redis into servers: by what changed, and whole wherever that does not do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from crowds import KEYS, Line, crowd
from followers import loader_to, replica
from given import ACME, ALICE, KEY, GivenSource
from redis import Redis
from redis_topologies import ClusterSet
from waiting import until

from loader.cycle import Synchronizer
from loader.publishing.publish import RedisPublisher
from loader.publishing.revisions import Revisions
from pdp.metrics.registry import Metrics
from pdp.rules.errors import SnapshotTruncated
from pdp.rules.model import PasswordOverride, Revision
from pdp.rules.publication.delta import WORTHWHILE, make_delta
from pdp.rules.publication.pointer import Pointer
from pdp.rules.snapshot.blob import seal, unseal
from pdp.rules.snapshot.snapshot import decode
from pdp.snapshots.current import CurrentSnapshots
from pdp.snapshots.disk import SnapshotStore
from pdp.snapshots.fetch import Fetcher
from pdp.snapshots.memory import filled
from rightcall.redis_url import open_redis

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from followers import Replica
    from redis_server import RedisServer

FEW = 20_000
"""Bytes: more than an edit ships, and a fraction of the blob."""


def commands(client: Redis, name: str) -> int:
    """How often Redis has run a command."""
    return int(client.info("commandstats").get(f"cmdstat_{name}", {}).get("calls", 0))


def fetched(server: Replica, form: str) -> float:
    """Bytes that a server has fetched in this form."""
    return server.metrics.registry.get_sample_value("rightcall_fetched_bytes_total", {"form": form}) or 0.0


def test_a_server_fetches_what_changed(redis: RedisServer) -> None:
    """One snapshot when it starts, then deltas; through a rollback, which has none, and on."""
    source = GivenSource(crowd("118"))
    loader = loader_to(redis, source)
    loader.sync()
    with replica(redis.url) as server:
        until(lambda: server.denies("118"), "it has loaded")
        whole = fetched(server, "snapshot")
        assert whole > WORTHWHILE
        for extension in ("117", "116", "115"):
            source.tenants = (crowd(extension),)
            loader.sync()
            until(lambda: server.denies(extension), "it has followed")
        assert fetched(server, "snapshot") == whole
        assert 0 < fetched(server, "delta") < FEW
        revisions = Revisions(open_redis(redis.url), "redis", secret=KEY)
        revisions.roll_back(ACME, str(revisions.kept(ACME)[2].revision))
        until(lambda: server.denies("117"), "it has followed the rollback")
        revisions.unpin(ACME)
        source.tenants = (crowd("114"),)
        loader.sync()
        until(lambda: server.denies("114"), "the source decides again")
        assert server.reloads("failure", "corrupt") == 0


def test_what_a_delta_made_is_kept_on_disk_whole(redis: RedisServer, tmp_path: Path) -> None:
    """A server that starts from its state directory needs no base."""
    source = GivenSource(crowd("118"))
    loader = loader_to(redis, source)
    loader.sync()
    with replica(redis.url, store=SnapshotStore(tmp_path, (KEY,))) as server:
        until(lambda: server.denies("118"), "it has loaded")
        source.tenants = (crowd("117"),)
        loader.sync()
        until(lambda: server.denies("117"), "it has followed")
        assert fetched(server, "delta")
    [(_, snapshot, error)] = SnapshotStore(tmp_path, (KEY,)).load()
    assert error is None
    assert snapshot is not None
    assert snapshot.decide(ALICE, "117", "").permission_id == 1


def fetcher_to(server: RedisServer, client: Redis | None = None) -> Fetcher:
    """What fetches in a server."""
    current = CurrentSnapshots("redis")
    return Fetcher(client or open_redis(server.url), KEYS, Metrics(current, "test"))


def test_a_server_that_missed_revisions_takes_several_deltas(redis: RedisServer) -> None:
    """As long as each leads to the next; without one of them, after a rollback, or from too far back, it takes none."""
    line = Line(open_redis(redis.url), keep=20)
    pointers = [line.publish(f"11{number}") for number in range(10)]
    held = decode(line.blobs[pointers[0].revision.number])
    fetcher = fetcher_to(redis)
    for pointer in pointers[1:9]:
        assert bytes(fetcher.patched(pointer, held) or b"") == line.blobs[pointer.revision.number]
    assert fetcher.patched(pointers[9], held) is None
    line.client.delete(KEYS.delta(ACME, pointers[2].revision.number))
    assert fetcher.patched(pointers[3], held) is None
    assert fetcher.patched(pointers[0], decode(line.blobs[pointers[1].revision.number])) is None


def damage(client: Redis, key: str, other: bytes) -> None:
    """A byte differs."""
    del other
    client.setrange(key, 200, b"?")


def of_another_base(client: Redis, key: str, other: bytes) -> None:
    """It is whole, and starts from somewhere else."""
    client.set(key, other)


def garbage(client: Redis, key: str, other: bytes) -> None:
    """It is no delta."""
    del other
    client.set(key, b"x" * 500)


def another_kind(client: Redis, key: str, other: bytes) -> None:
    """It is not even a string."""
    del other
    client.delete(key)
    client.rpush(key, "x")


@pytest.mark.parametrize("spoil", [damage, of_another_base, garbage, another_kind])
def test_a_server_that_cannot_use_a_delta_takes_the_blob(
    redis: RedisServer, spoil: Callable[[Redis, str, bytes], None]
) -> None:
    """It gets the new rules all the same."""
    line = Line(open_redis(redis.url))
    _, second, third = line.publish("118"), line.publish("117"), line.publish("116")
    line.client.hset(KEYS.pointers, ACME, second.dump(KEY))
    with replica(redis.url) as server:
        until(lambda: server.denies("117"), "it has loaded")
        whole = fetched(server, "snapshot")
        other = line.in_redis(second)[1]
        assert isinstance(other, bytes)
        spoil(line.client, KEYS.delta(ACME, third.revision.number), other)
        line.client.hset(KEYS.pointers, ACME, third.dump(KEY))
        until(lambda: server.denies("116"), "it has followed")
        assert fetched(server, "snapshot") > whole
        assert server.current.source_error == ""


def test_a_forged_delta_changes_nobodys_rules(redis: RedisServer) -> None:
    """Whoever can write to Redis but has not the key: what the delta makes is not signed, and the blob is taken."""
    line = Line(open_redis(redis.url))
    first, second = line.publish("118"), line.publish("117")
    base, number = line.blobs[first.revision.number], second.revision.number
    sections = {section: bytes(extent.view) for section, extent in unseal(line.blobs[number]).items()}
    forged = make_delta(base, seal(sections, b"a key of the forger's"), first.revision.number)
    assert forged is not None
    line.client.hset(KEYS.pointers, ACME, first.dump(KEY))
    with replica(redis.url) as server:
        until(lambda: server.denies("118"), "it has loaded")
        whole = fetched(server, "snapshot")
        line.client.set(KEYS.delta(ACME, number), forged)
        line.client.hset(KEYS.pointers, ACME, second.dump(KEY))
        until(lambda: server.denies("117"), "it has followed")
        assert fetched(server, "delta") == len(forged)
        assert fetched(server, "snapshot") > whole


def test_a_large_blob_is_fetched_in_pieces(redis: RedisServer) -> None:
    """Byte for byte, whatever its size is a multiple of; one that is not there is None."""
    with redis.client() as client:
        for number, size in enumerate((1, 1 << 20, (1 << 20) + 1, 5_000_000), start=1):
            content = bytes(range(251)) * (size // 251 + 1)
            client.set(KEYS.snapshot(ACME, number), content[:size])
            blob = fetcher_to(redis).whole(Pointer.to(ACME, Revision(number, "a"), 1))
            assert blob is not None
            assert blob[:] == content[:size]
    assert fetcher_to(redis).whole(Pointer.to(ACME, Revision(99, "a"), 1)) is None


class Pruned(Redis):
    """A Redis whose loader prunes a revision just when somebody has asked for its size."""

    def strlen(self, name: str) -> int:  # type: ignore[override] # what we use of it
        """The size that it had."""
        size = super().strlen(name)
        self.delete(name)
        return size


def test_a_revision_that_is_pruned_while_it_is_fetched_is_refused(redis: RedisServer) -> None:
    """As any other that is not whole."""
    client = Pruned.from_url(redis.url)
    client.set(KEYS.snapshot(ACME, 1), b"x" * 100)
    with pytest.raises(SnapshotTruncated):
        fetcher_to(redis, client).whole(Pointer.to(ACME, Revision(1, "a"), 1))


@pytest.mark.parametrize("size", [0, 10, (1 << 20) - 1, 1 << 20, 3_000_000])
def test_pieces_are_put_together(size: int) -> None:
    """Small ones on the heap, large ones in memory of their own; the same to whoever reads them."""
    content = bytes(range(256)) * (size // 256 + 1)
    pieces = [content[at : min(at + 100_000, size)] for at in range(0, size, 100_000)]
    assert filled(size, pieces)[:] == content[:size]


def test_a_user_of_redis_who_may_read_no_deltas_gets_the_rules(redis: RedisServer) -> None:
    """Rights that were given before there were deltas still do."""
    source = GivenSource(crowd("118"))
    loader = loader_to(redis, source)
    loader.sync()
    with redis.client() as client:
        keys = ("~rightcall:snapshot:*", "~rightcall:{pointers}*", "~rightcall:revisions:*")
        client.execute_command("ACL", "SETUSER", "old", "on", ">password", *keys, "&*", "+@all")
    with replica(redis.url.replace("redis://", "redis://old:password@")) as server:
        until(lambda: server.denies("118"), "it has loaded")
        source.tenants = (crowd("117"),)
        loader.sync()
        until(lambda: server.denies("117"), "it has followed")
        assert fetched(server, "delta") == 0


def test_a_cluster_makes_blobs_and_ships_deltas() -> None:
    """All that a script touches lies in one slot."""
    with ClusterSet() as cluster:
        source = GivenSource(crowd("118"))
        publisher = RedisPublisher(open_redis(cluster.url), "redis", secret=KEY)
        loader = Synchronizer(source, publisher, secret=KEY, password_override=PasswordOverride.ALL)
        loader.sync()
        with replica(cluster.url) as server:
            until(lambda: server.denies("118"), "it has loaded")
            whole = fetched(server, "snapshot")
            source.tenants = (crowd("117"),)
            [published] = loader.sync().published
            until(lambda: server.denies("117"), "it has followed")
            assert fetched(server, "snapshot") == whole
        blob = open_redis(cluster.url).get(KEYS.snapshot(ACME, published.revision.number))
        assert isinstance(blob, bytes)
        assert decode(blob, secrets=(KEY,)).revision == published.revision
        assert sum(commands(Redis(port=port), "copy") for port in cluster.nodes) == 1
