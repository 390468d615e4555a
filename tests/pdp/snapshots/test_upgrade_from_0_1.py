"""Upgrades from release 0.1, both ways round: what its loader left, and what its servers read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from followers import loader_to, replica
from given import ACME, BOB, BOLT, KEY, GivenSource, denying
from redis_server import RedisServer
from release_0_1 import fill, read_pointer
from waiting import until

from pdp.rules.publication.keys import Keys

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS = Keys()
TENANTS = denying("117", "_00."), denying("119", tenant=BOLT, user=BOB)
"""What the dump was made of."""


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A Redis with what a loader of release 0.1 published."""
    with RedisServer() as server:
        with server.client() as client:
            fill(client)
        yield server


def test_new_servers_serve_what_an_old_loader_published(redis: RedisServer) -> None:
    """They are ready with every tenant that has a pointer."""
    with replica(redis.url) as server:
        until(lambda: server.current.ready, "all are there")
        assert (server.answer(extension="117"), server.answer(BOB, "119")) == ("DENY", "DENY")
        assert server.current.source_error == ""


def test_a_snapshot_that_an_old_loader_published_is_missed_where_it_is_damaged(redis: RedisServer) -> None:
    """There is no manifest, but a pointer."""
    with redis.client() as client:
        [key] = client.keys(f"rightcall:snapshot:{{{BOLT}}}:*")
        client.delete(key)
    with replica(redis.url) as server:
        until(lambda: server.answer(extension="117") == "DENY", "the other one is loaded")
        until(lambda: BOLT in server.current.source_error, "it is named")
        assert (server.current.ready, server.answer(BOB, "119")) == (False, "TenantsMissing")


def test_a_new_loader_takes_over_from_an_old_one_under_running_servers(redis: RedisServer) -> None:
    """It signs a manifest and binds the pointers; pinned and unchanged tenants stay what they are."""
    with replica(redis.url, recheck=0.05) as server:
        until(lambda: server.current.ready, "all are there")
        before = server.number(ACME)
        report = loader_to(redis, source := GivenSource(*TENANTS)).sync()
        assert (report.error, report.removed) == ("", ())
        until(lambda: server.metric("rightcall_missing_tenants") == 0 and server.current.ready, "nothing is missing")
        with replica(redis.url, require_manifest=True) as starting:
            until(lambda: starting.current.ready, "one that wants a manifest starts")
            assert starting.answer(BOB, "119") == "DENY"
        source.tenants = (denying("116"), TENANTS[1])
        loader_to(redis, source).sync()
        until(lambda: server.answer(extension="116") == "DENY", "edits arrive")
        assert server.number(ACME) > before
        assert server.current.source_error == ""


def test_old_servers_read_what_a_new_loader_publishes(redis: RedisServer) -> None:
    """Its pointers are theirs too: signed as they know it, with a serial that rises; edits and removals alike."""
    with redis.client() as client:
        old = {tenant.decode(): json.loads(raw)["serial"] for tenant, raw in client.hgetall(KEYS.pointers).items()}
        loader_to(redis, source := GivenSource(*TENANTS)).sync()
        for _ in range(2):
            for tenant, raw in client.hgetall(KEYS.pointers).items():
                found = read_pointer(tenant.decode(), raw, KEY)
                assert found is not None
                assert found["serial"] > old[tenant.decode()]
                if not found["removed"]:
                    assert client.exists(KEYS.snapshot(tenant.decode(), found["number"]))
                old[tenant.decode()] = found["serial"]
            source.tenants = (denying("116"),)
            loader_to(redis, source).sync()
        removed = read_pointer(BOLT, client.hget(KEYS.pointers, BOLT), KEY)
        assert removed is not None
        assert removed["removed"]
        assert read_pointer(ACME, client.hget(KEYS.pointers, BOLT), KEY) is None


def test_back_to_an_old_loader_as_the_manual_says(redis: RedisServer) -> None:
    """The manifest is deleted; what the old loader publishes then is served by servers that start."""
    loader_to(redis, GivenSource(*TENANTS)).sync()
    with redis.client() as client:
        client.delete(KEYS.manifest, KEYS.pointers)
        fill(client)
    with replica(redis.url) as server:
        until(lambda: server.current.ready, "all are there")
