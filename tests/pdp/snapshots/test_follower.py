"""Servers that follow a loader through a real Redis, and through its failures."""

from __future__ import annotations

import pytest
from followers import loader_to, replica
from given import ACME, BOB, BOLT, KEY, GivenSource, denying
from redis_server import RedisServer
from waiting import until

from loader.publishing.publish import PublishedState, RedisPublisher
from pdp.rules.model import Revision
from pdp.rules.publication.keys import Keys
from pdp.rules.publication.pointer import Pointer

KEYS = Keys()
NEVER = 3600.0
"""A re-check that does not happen within a test: what arrives, arrives by notification."""


def overwrite_blob(server: RedisServer, blob: bytes, tenant: str = ACME) -> None:
    """Puts other bytes where the current revision's blob is, and announces a newer revision of the same bytes."""
    publisher = RedisPublisher(server.client(), "redis", secret=KEY)
    standing = publisher.standing().get(tenant, PublishedState())
    publisher.publish(Pointer.to(tenant, Revision(standing.next_serial(), "f" * 64), 1), blob, standing)


def test_two_servers_follow_one_loader(redis: RedisServer) -> None:
    """First load, then each edit reaches both by notification alone."""
    source = GivenSource(denying("118"))
    loader = loader_to(redis, source)
    loader.sync()
    with replica(redis.url, recheck=NEVER) as one, replica(redis.url, recheck=NEVER) as other:
        until(lambda: one.denies("118") and other.denies("118"), "both have loaded")
        for extension in ("117", "116", "115"):
            source.tenants = (denying(extension),)
            loader.sync()
            until(lambda: one.denies(extension) and other.denies(extension), "both have followed")
        assert one.current.source_error == ""
        assert one.reloads("success") == 4


def test_a_lost_notification_leaves_no_server_behind(redis: RedisServer) -> None:
    """What was moved without a message is found by the next look at all pointers."""
    source = GivenSource(denying("118"))
    loader = loader_to(redis, source)
    loader.sync()
    with replica(redis.url) as server:
        until(lambda: server.denies("118"), "it has loaded")
        with redis.client() as client:
            before = client.hget(KEYS.pointers, ACME)
            source.tenants = (denying("117"),)
            loader.sync()
            until(lambda: server.denies("117"), "it has followed")
            after = client.hget(KEYS.pointers, ACME)
            assert before != after
            # Back to nothing, then the pointer again, silently: as if the message had been lost.
            client.hdel(KEYS.pointers, ACME)
        with replica(redis.url) as late, redis.client() as client:
            until(lambda: late.redis_up() == 1, "it has looked and found nothing")
            assert late.number() == 0
            client.hset(KEYS.pointers, ACME, after)
            until(lambda: late.denies("117"), "it has found the pointer without a message")


def test_a_server_that_starts_while_redis_is_down_comes_up_when_it_returns() -> None:
    """It says what is wrong meanwhile, and is not ready."""
    server = RedisServer()
    with replica(server.url) as waiting:
        until(lambda: waiting.redis_up() == 0, "it has noticed")
        assert not waiting.current.ready
        assert "check that it is up" in waiting.current.source_error
        with server:
            loader_to(server, GivenSource(denying("118"))).sync()
            until(lambda: waiting.denies("118"), "it has loaded")
            until(lambda: waiting.current.source_error == "", "it says that all is well")
            assert waiting.redis_up() == 1


def test_redis_killed_takes_no_answer_away_and_its_return_catches_up(redis: RedisServer) -> None:
    """Killed while it is followed: rules stay through an empty restart; the loader publishes again and all go on."""
    source = GivenSource(denying("118"))
    loader = loader_to(redis, source)
    loader.sync()
    with replica(redis.url) as server:
        until(lambda: server.denies("118"), "it has loaded")
        first = server.number()
        redis.kill()
        until(lambda: server.redis_up() == 0, "it has noticed")
        assert server.denies("118")
        redis.start()
        until(lambda: server.redis_up() == 1, "it is connected again")
        assert server.denies("118"), "an empty Redis removes nothing"
        source.tenants = (denying("117"),)
        loader.sync()
        until(lambda: server.denies("117"), "it has caught up")
        assert server.number() > first


def test_a_redis_that_hangs_takes_no_answer_away(redis: RedisServer) -> None:
    """SIGSTOP is worse than a kill: connections stay. What is loaded answers all the same, and goes on afterwards."""
    source = GivenSource(denying("118"))
    loader = loader_to(redis, source)
    loader.sync()
    with replica(redis.url) as server:
        until(lambda: server.denies("118"), "it has loaded")
        redis.pause()
        assert server.denies("118")
        redis.resume()
        source.tenants = (denying("117"),)
        loader.sync()
        until(lambda: server.denies("117"), "it has followed")


def test_a_tenant_removed_at_the_source_goes_away_and_the_other_stays(redis: RedisServer) -> None:
    """Removal is told by a pointer, and touches nobody else."""
    source = GivenSource(denying("118"), denying("119", tenant=BOLT, user=BOB))
    loader = loader_to(redis, source)
    loader.sync()
    with replica(redis.url) as server:
        until(lambda: server.number(ACME) and server.number(BOLT), "both are loaded")
        source.tenants = source.tenants[:1]
        loader.sync()
        until(lambda: server.current.get(BOLT) is None, "it is gone")
        assert server.denies("118")


def test_lost_pointers_remove_nothing(redis: RedisServer) -> None:
    """FLUSHALL, or eviction: a pointer that is missing means nothing."""
    loader_to(redis, GivenSource(denying("118"))).sync()
    with replica(redis.url, recheck=0.05) as server:
        until(lambda: server.denies("118"), "it has loaded")
        with redis.client() as client:
            client.flushall()
            until(lambda: client.info("commandstats").get("cmdstat_hgetall", {}).get("calls", 0) > 10, "it has looked")
        assert server.denies("118")


def damaged(blob: bytes) -> bytes:
    """One byte of the content differs."""
    return blob[:-1] + bytes([blob[-1] ^ 1])


def of_another_version(blob: bytes) -> bytes:
    """As another release would write it."""
    return blob[:8] + (999).to_bytes(4, "little") + blob[12:]


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        (damaged, "corrupt"),
        (of_another_version, "foreign"),
        (lambda blob: blob[: len(blob) // 2], "truncated"),
        (lambda _: b"not a snapshot at all", "truncated"),
        (lambda _: b"x" * 200, "foreign"),
        (lambda blob: blob, "mismatch"),
    ],
    ids=["damaged", "of another version", "truncated", "garbage", "foreign", "of another revision"],
)
def test_what_cannot_be_used_is_refused_and_the_old_rules_stay(
    redis: RedisServer, make: type[bytes], cause: str
) -> None:
    """Each is counted by its cause and told in the status; the next good revision ends it."""
    source = GivenSource(denying("118"))
    loader = loader_to(redis, source)
    loader.sync()
    with replica(redis.url) as server:
        until(lambda: server.denies("118"), "it has loaded")
        first = server.number()
        with redis.client() as client:
            blob = client.get(KEYS.snapshot(ACME, first))
        assert isinstance(blob, bytes)
        overwrite_blob(redis, make(blob))
        until(lambda: server.reloads("failure", cause), "it has refused")
        assert server.number() == first
        assert server.denies("118")
        until(lambda: ACME in server.current.source_error, "it says so")
        loader.sync()
        until(lambda: server.number() > first, "the loader has repaired it")
        until(lambda: server.current.source_error == "", "it says that all is well")


def test_a_forged_snapshot_is_refused(redis: RedisServer) -> None:
    """Whoever can write to Redis but has not the key changes nobody's rules."""
    loader_to(redis, GivenSource(denying("118"))).sync()
    with replica(redis.url) as server:
        until(lambda: server.denies("118"), "it has loaded")
        for forger in (b"a key of the forger's", None):
            loader_to(redis, GivenSource(denying("999")), secret=forger).sync()
        until(lambda: server.reloads("failure", "untrusted"), "it has refused")
        assert server.denies("118")
        assert not server.denies("999")


def test_a_forged_removal_is_refused(redis: RedisServer) -> None:
    """Removing a tenant takes the key as well: without rules every call would be allowed."""
    loader_to(redis, GivenSource(denying("118"))).sync()
    with replica(redis.url) as server:
        until(lambda: server.denies("118"), "it has loaded")
        forger = RedisPublisher(redis.client(), "redis", secret=None)
        standing = forger.standing()[ACME]
        forger.remove(Pointer.to_nothing(ACME, standing.next_serial()), standing)
        until(lambda: server.reloads("failure", "untrusted"), "it has refused")
        assert server.denies("118")


def test_an_older_revision_is_refused(redis: RedisServer) -> None:
    """A pointer set back to rules that were once good and once signed does not bring them back."""
    source = GivenSource(denying("118"))
    loader = loader_to(redis, source)
    loader.sync()
    with redis.client() as client:
        old = client.hget(KEYS.pointers, ACME)
    source.tenants = (denying("117"),)
    loader.sync()
    with replica(redis.url) as server, redis.client() as client:
        until(lambda: server.denies("117"), "it has loaded")
        client.hset(KEYS.pointers, ACME, old)
        until(lambda: server.reloads("failure", "rolled_back"), "it has refused")
        assert server.denies("117")


def test_garbage_in_the_pointers_hurts_nobody_else(redis: RedisServer) -> None:
    """Bytes that are no pointer are refused; other tenants are loaded."""
    loader_to(redis, GivenSource(denying("118"))).sync()
    with redis.client() as client:
        for number, garbage in enumerate((b"", b"{", b"[]", b"\xff\xfe", b'{"number":true}', b"[" * 100_000)):
            client.hset(KEYS.pointers, f"tenant-{number}", garbage)
    with replica(redis.url) as server:
        until(lambda: server.denies("118"), "the good tenant is loaded")
        until(lambda: server.reloads("failure", "corrupt") >= 6, "each of the others is refused")
        assert [held.snapshot.tenant for held in server.current.held()] == [ACME]


def test_a_server_without_a_key_takes_what_is_signed(redis: RedisServer) -> None:
    """Signatures are asked for where a key is configured, and only there."""
    loader_to(redis, GivenSource(denying("118"))).sync()
    with replica(redis.url, secrets=()) as server:
        until(lambda: server.denies("118"), "it has loaded")


def test_a_wrong_password_is_told_without_repeating_it() -> None:
    """The status says what to check; neither it nor anything else holds the password."""
    with RedisServer(password="right-password") as redis:
        url = redis.url.replace("right-password", "wrong-password")
        with replica(url) as server:
            until(lambda: server.current.source_error, "it has noticed")
            assert "refused the credentials; check user and password" in server.current.source_error
            assert "wrong-password" not in server.current.source_error + server.current.source
