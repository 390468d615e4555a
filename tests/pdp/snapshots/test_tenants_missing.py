"""Every tenant or nothing: what Redis lost, or somebody changed, concerns its tenant alone, and is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from followers import Replica, loader_to, replica
from given import ACME, ALICE, BOB, BOLT, KEY, GivenSource, denying
from structlog.testing import capture_logs
from waiting import until

from loader.cycle import Synchronizer
from loader.publishing.publish import RedisPublisher
from loader.publishing.revisions import Revisions
from pdp.rules.model import PasswordOverride
from pdp.rules.publication.keys import Keys, Scope
from pdp.snapshots.disk import SnapshotStore
from rightcall.redis_url import open_redis

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from redis import Redis
    from redis_server import RedisServer

KEYS = Keys()
STRANGER = "00000000-0000-4000-8000-000000000009"
OF_ACME, OF_BOLT = denying("118"), denying("118", tenant=BOLT, user=BOB)


def blob_of(client: Redis, tenant: str) -> str:
    """The key of the newest blob of a tenant."""
    about = client.zrange(KEYS.revisions(tenant), -1, -1, withscores=True)
    return KEYS.snapshot(tenant, int(about[0][1]))


def lost_pointer(client: Redis) -> None:
    """Deleted, or evicted."""
    client.hdel(KEYS.pointers, BOLT)


def garbage_pointer(client: Redis) -> None:
    """Damaged."""
    client.hset(KEYS.pointers, BOLT, b"{")


def lost_blob(client: Redis) -> None:
    """Evicted."""
    client.delete(blob_of(client, BOLT))


def flipped_bit(client: Redis) -> None:
    """Damaged."""
    client.setrange(blob_of(client, BOLT), 300, b"\xff\x00\xff")


def wrong_type(client: Redis) -> None:
    """Somebody else's key."""
    key = blob_of(client, BOLT)
    client.delete(key)
    client.rpush(key, "no string")


@pytest.mark.parametrize("harm", [lost_pointer, garbage_pointer, lost_blob, flipped_bit, wrong_type])
def test_a_server_that_starts_without_a_tenant_is_not_ready_and_lets_no_call_of_it_through(
    redis: RedisServer, harm: Callable[[Redis], None]
) -> None:
    """Others are answered; status, log and metric name the tenant; the loader's next cycle ends it."""
    loader = loader_to(redis, GivenSource(OF_ACME, OF_BOLT))
    assert not loader.sync().error
    with redis.client() as client:
        harm(client)
    with capture_logs() as logs, replica(redis.url) as server:
        until(lambda: server.answer(ALICE) == "DENY", "the other tenant is loaded")
        until(lambda: BOLT in server.current.source_error, "the status names it")
        until(lambda: server.answer(BOB) == "TenantsMissing", "it knows what is missing")
        assert server.answer(BOB, tenant=BOLT) == "TenantsMissing"
        assert server.answer(STRANGER) == "TenantsMissing"
        assert server.answer("") == "ALLOW", (
            "who is nobody's, and calls through no outcall, is claimed by no tenant ever"
        )
        assert not server.current.ready
        until(lambda: server.metric("rightcall_missing_tenants") == 1, "so does the metric")
        until(lambda: any(line["event"] == "tenants_missing" for line in logs), "and the log")
        with redis.client() as client:
            if harm is flipped_bit:
                client.hdel(KEYS.pointers, BOLT)  # the loader looks at no blob's inside: the runbook has this
        assert not loader.sync().error
        until(lambda: server.answer(BOB) == "DENY", "it is loaded")
        until(lambda: server.current.ready, "all are there")
        assert server.answer(STRANGER) == "ALLOW"
        assert server.metric("rightcall_missing_tenants") == 0


@pytest.mark.parametrize("harm", [lost_pointer, garbage_pointer, lost_blob, flipped_bit, wrong_type])
def test_a_server_that_runs_keeps_what_it_has(redis: RedisServer, harm: Callable[[Redis], None]) -> None:
    """Harm takes no rule away from it, and no readiness; the other tenant's edits arrive."""
    loader = loader_to(redis, source := GivenSource(OF_ACME, OF_BOLT))
    loader.sync()
    with replica(redis.url) as server:
        until(lambda: server.current.ready, "all are there")
        with redis.client() as client:
            harm(client)
        source.tenants = (denying("117"), OF_BOLT)
        loader.sync()
        until(lambda: server.denies("117"), "the edit of the other tenant is in force")
        assert server.current.ready
        assert server.answer(BOB) == "DENY"


def test_nobody_is_ready_while_tenants_are_published_one_by_one(redis: RedisServer) -> None:
    """The manifest names all of them before the first one is there."""
    crowd = [
        denying("118", tenant=f"{n:08x}-0000-4000-8000-00000000000a", user=f"{n:08x}-0000-4000-8000-00000000000b")
        for n in range(40)
    ]
    seen: list[tuple[bool, int]] = []

    class Watched(RedisPublisher):
        def publish(self, *arguments: Any) -> None:
            super().publish(*arguments)
            seen.append((server.current.ready, len(server.current.held())))

    publisher = Watched(open_redis(redis.url), "redis", secret=KEY)
    loader = Synchronizer(GivenSource(*crowd), publisher, secret=KEY, password_override=PasswordOverride.ALL)
    with replica(redis.url, recheck=0.02) as server:
        until(lambda: server.redis_up() == 1, "it has looked at an empty Redis")
        assert not server.current.ready
        assert not loader.sync().error
        until(lambda: server.current.ready, "all are there")
        assert len(server.current.held()) == len(crowd)
    assert all(count == len(crowd) for ready, count in seen if ready)


def test_mondays_pointer_and_blob_are_not_taken_by_a_server_that_starts(redis: RedisServer) -> None:
    """Both are whole and signed: the manifest knows better, and the loader puts it right."""
    loader = loader_to(redis, source := GivenSource(OF_ACME, OF_BOLT))
    loader.sync()
    with redis.client() as client:
        monday, blob = client.hget(KEYS.pointers, BOLT), client.get(blob_of(client, BOLT))
        key = blob_of(client, BOLT)
        source.tenants = (OF_ACME, denying("_.", tenant=BOLT, user=BOB))
        loader.sync()
        client.hset(KEYS.pointers, BOLT, monday)
        client.set(key, blob)
    with replica(redis.url) as server:
        until(lambda: server.reloads("failure", "rolled_back"), "it has refused")
        until(lambda: server.answer(BOB, "0") == "TenantsMissing", "it knows what is missing")
        assert not server.current.ready
        loader.sync()
        until(lambda: server.answer(BOB, "0") == "DENY", "the loader has published it again")


def test_what_was_published_elsewhere_is_not_taken(redis: RedisServer) -> None:
    """Another prefix's pointer, for the same tenant, by the same key; nor one that does not say where it belongs."""
    source = GivenSource(OF_ACME, denying(tenant=BOLT, user=BOB))
    there = RedisPublisher(open_redis(redis.url), "redis", secret=KEY, scope=Scope("there:"))
    Synchronizer(source, there, secret=KEY, password_override=PasswordOverride.ALL).sync()
    loader_to(redis, GivenSource(OF_ACME, OF_BOLT)).sync()
    with redis.client() as client:
        foreign = Keys("there:")
        pointer = client.hget(foreign.pointers, BOLT)
        client.hset(KEYS.pointers, BOLT, pointer)
        for key in client.keys("there:snapshot:*"):
            client.copy(key, key.replace(b"there:", b"rightcall:"))
        with replica(redis.url) as server:
            until(lambda: server.reloads("failure", "misplaced"), "it has refused")
            until(lambda: server.answer(BOB) == "TenantsMissing", "it knows what is missing")
            assert "published for prefix there:" in server.current.source_error or BOLT in server.current.source_error
        stripped = pointer[: pointer.index(b',"scope"')] + b"}"
        client.hset(KEYS.pointers, BOLT, stripped)
        with replica(redis.url) as server:
            until(lambda: server.reloads("failure", "untrusted"), "it has refused")
            until(lambda: server.answer(BOB) == "TenantsMissing", "it knows what is missing")
        client.set(KEYS.manifest, client.get(foreign.manifest))
        with replica(redis.url) as server:
            until(lambda: server.reloads("failure", "misplaced"), "it has refused the manifest")
            assert not server.current.ready


def test_another_deployments_rules_are_refused(redis: RedisServer) -> None:
    """One key, one prefix, two names: the servers of one take nothing of the other, and its loader says so."""
    loader_to(redis, GivenSource(OF_ACME)).sync()
    paris = Scope("rightcall:", "paris")
    with replica(redis.url, scope=paris) as server:
        until(lambda: server.reloads("failure", "misplaced"), "it has refused")
        assert server.current.held() == []
    publisher = RedisPublisher(open_redis(redis.url), "redis", secret=KEY, scope=paris)
    loader = Synchronizer(GivenSource(OF_BOLT), publisher, secret=KEY, password_override=PasswordOverride.ALL)
    assert "give each deployment a --redis-prefix of its own" in loader.sync().error
    assert "another deployment publishes" in publisher.foreign()
    assert "another deployment publishes" in RedisPublisher(open_redis(redis.url), "redis", secret=b"another").foreign()
    assert RedisPublisher(open_redis(redis.url), "redis", secret=KEY).foreign() == ""
    with redis.client() as client:
        assert [name.decode() for name in client.hkeys(KEYS.pointers)] == [ACME]


@pytest.mark.parametrize("harm", ["deleted", "damaged", "older"])
def test_a_manifest_that_is_lost_stops_no_server_that_runs_and_lets_none_start(redis: RedisServer, harm: str) -> None:
    """It says so, and the loader's next cycle ends it."""
    loader = loader_to(redis, source := GivenSource(OF_ACME))
    loader.sync()
    with redis.client() as client, replica(redis.url, recheck=0.05) as running:
        monday = client.get(KEYS.manifest)
        source.tenants = (OF_ACME, OF_BOLT)
        loader.sync()
        until(lambda: running.answer(BOB) == "DENY", "it has followed")
        good = client.get(KEYS.manifest)
        if harm == "deleted":
            client.delete(KEYS.manifest)
        else:
            client.set(KEYS.manifest, monday if harm == "older" else good[:-3])
        until(lambda: "manifest" in running.current.source_error, "it says so")
        assert (running.current.ready, running.answer(BOB), running.answer(STRANGER)) == (True, "DENY", "ALLOW")
        with replica(redis.url, recheck=0.05) as starting:
            until(lambda: starting.redis_up() == 1 and (harm == "older" or starting.current.source_error), "it looks")
            if harm != "older":  # Monday's list, and no other: nothing here can tell a server that starts
                assert not starting.current.ready
                assert starting.answer(BOB) != "ALLOW"
            source.tenants = (denying("117"), OF_BOLT)
            loader.sync()
            until(lambda: starting.current.ready and starting.answer(BOB) == "DENY", "all are there")
        until(lambda: running.current.source_error == "", "all is well")


def test_a_tenant_that_goes_is_not_missed_and_one_that_comes_back_is(redis: RedisServer) -> None:
    """Between its announcement and its rules its callers are not let through."""
    loader = loader_to(redis, source := GivenSource(OF_ACME, OF_BOLT))
    loader.sync()
    source.tenants = (OF_ACME,)
    loader.sync()
    with replica(redis.url, recheck=0.05) as server:
        until(lambda: server.current.ready, "one tenant is all")
        assert server.answer(BOB) == "ALLOW"
        publisher = RedisPublisher(open_redis(redis.url), "redis", secret=KEY)
        publisher.standing()
        publisher.list_tenants({ACME: 0, BOLT: 0}, complete=True)  # a loader that dies here
        until(lambda: server.answer(BOB) == "TenantsMissing", "it is announced")
        with replica(redis.url) as starting:
            until(lambda: starting.answer(ALICE) == "DENY", "the other one is loaded")
            assert not starting.current.ready
        source.tenants = (OF_ACME, OF_BOLT)
        loader.sync()
        until(lambda: server.answer(BOB) == "DENY", "it is there")


def test_an_operator_brings_a_removed_tenant_back(redis: RedisServer) -> None:
    """The manifest names it again before its pointer moves."""
    loader = loader_to(redis, source := GivenSource(OF_ACME, OF_BOLT))
    loader.sync()
    source.tenants = (OF_ACME,)
    loader.sync()
    revisions = Revisions(open_redis(redis.url), "redis", secret=KEY)
    revisions.roll_back(BOLT, str(revisions.kept(BOLT)[0].revision))
    with replica(redis.url) as server:
        until(lambda: server.current.ready and server.answer(BOB) == "DENY", "it is there")
        loader.sync()
        assert server.answer(BOB) == "DENY"


def test_a_faulty_tenant_that_never_was_good_keeps_nobody_from_starting(redis: RedisServer) -> None:
    """It is known to be closed."""
    source = GivenSource(OF_ACME)
    source.faulty = frozenset({BOLT})
    loader_to(redis, source).sync()
    with replica(redis.url) as server:
        until(lambda: server.current.ready, "nothing is missing")
        assert server.current.incomplete == ""


def test_an_incomplete_first_reading_leaves_strangers_unanswered(redis: RedisServer) -> None:
    """A file that could not be read may define the caller's tenant; once it was read, that is over."""
    loader = loader_to(redis, source := GivenSource(OF_ACME))
    source.complete = False
    loader.sync()
    with replica(redis.url, recheck=0.05) as server:
        until(lambda: server.current.ready, "what is listed is there")
        assert (server.answer(ALICE), server.answer(STRANGER)) == ("DENY", "TenantsMissing")
        source.complete = True
        loader.sync()
        until(lambda: server.answer(STRANGER) == "ALLOW", "there are no others")


def test_a_state_directory_knows_the_tenants_as_well(redis: RedisServer, tmp_path: Path) -> None:
    """Without Redis a server is ready with all that it had, and not with less."""
    loader_to(redis, GivenSource(OF_ACME, OF_BOLT)).sync()
    with replica(redis.url, store=SnapshotStore(tmp_path, (KEY,))) as server:
        until(lambda: server.current.ready, "all are there")
    redis.kill()
    with replica(redis.url, store=SnapshotStore(tmp_path, (KEY,))) as server:
        assert (server.current.ready, server.answer(BOB), server.answer(STRANGER)) == (True, "DENY", "ALLOW")
    (tmp_path / f"{BOLT}.pointer").unlink()
    with replica(redis.url, store=SnapshotStore(tmp_path, (KEY,))) as server:
        assert (server.current.ready, server.answer(ALICE), server.answer(BOB)) == (False, "DENY", "TenantsMissing")


@pytest.mark.parametrize("listed", [True, False], ids=["with a manifest", "as release 0.1 left it"])
def test_no_stranger_is_answered_while_a_state_directory_is_read(
    redis: RedisServer, tmp_path: Path, *, listed: bool
) -> None:
    """Tenant by tenant: the caller's may be the next one."""
    loader_to(redis, GivenSource(OF_ACME, OF_BOLT)).sync()
    with replica(redis.url, store=SnapshotStore(tmp_path, (KEY,))) as server:
        until(lambda: server.current.ready, "all are there")
    redis.kill()
    if not listed:
        (tmp_path / "tenants.manifest").unlink()
    made = Replica(redis.url, store=SnapshotStore(tmp_path, (KEY,)))
    seen: list[str] = []
    replace = made.current.replace

    def watched(*arguments: Any) -> None:
        replace(*arguments)
        seen.append(made.answer(STRANGER))

    with patch.object(made.current, "replace", watched):
        made.follower.start()
    made.follower.stop()
    assert seen == ["TenantsMissing"] * 2
    assert (made.current.ready, made.answer(STRANGER)) == (True, "ALLOW")


def test_rules_without_a_manifest_can_be_refused(redis: RedisServer) -> None:
    """For when all loaders are upgraded: nobody can take the list away then and put old pointers back."""
    loader_to(redis, GivenSource(OF_ACME)).sync()
    with redis.client() as client:
        pointer = client.hget(KEYS.pointers, ACME)
        client.delete(KEYS.manifest)
        client.hset(KEYS.pointers, ACME, pointer[: pointer.index(b',"scope"')] + b"}")
    with replica(redis.url, require_manifest=True) as server:
        until(lambda: server.current.source_error, "it says so")
        assert server.current.held() == []


def test_a_server_that_starts_can_refuse_a_manifest_that_is_old(redis: RedisServer) -> None:
    """All of Monday put back, manifest included: its age tells, where a loader signs it again every minute."""
    loader_to(redis, GivenSource(OF_ACME)).sync()
    with replica(redis.url, most_age=0.001) as server:
        until(lambda: server.reloads("failure", "stale"), "it has refused")
        assert not server.current.ready
    with replica(redis.url, most_age=3600.0) as server:
        until(lambda: server.current.ready, "all is well")
