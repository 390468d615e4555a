"""Numbers survive clocks that jump and a Redis that loses everything; a lease survives a reading that takes long."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from followers import loader_to, publisher_to, replica
from given import ACME, BOB, BOLT, KEY, GivenSource, denying
from waiting import until

from loader.publishing import listing, publish
from pdp.rules.publication.keys import DEFAULT_SCOPE, Keys
from pdp.rules.publication.manifest import Manifest

if TYPE_CHECKING:
    from redis_server import RedisServer

KEYS = Keys()
TEN_YEARS = 10 * 365 * 86400 * 10**9


def shift(monkeypatch: pytest.MonkeyPatch, nanoseconds: int) -> None:
    """Puts the loader's clock ahead, or back."""
    real = time.time_ns
    for module in (publish, listing):
        monkeypatch.setattr(module.time, "time_ns", lambda: real() + nanoseconds)


def manifest_in(redis: RedisServer) -> Manifest:
    """The manifest that stands."""
    with redis.client() as client:
        return Manifest.load(client.get(KEYS.manifest), (KEY,), DEFAULT_SCOPE)


@pytest.mark.parametrize("shifted", [TEN_YEARS, -TEN_YEARS], ids=["ahead", "back"])
def test_a_clock_that_jumps_takes_no_number_with_it(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch, shifted: int
) -> None:
    """Edits before, during and after it are all followed; ahead, Redis' clock holds the numbers down."""
    loader = loader_to(redis, source := GivenSource(denying("118")))
    loader.sync()
    with replica(redis.url) as server:
        until(lambda: server.denies("118"), "it has loaded")
        with monkeypatch.context() as patched:
            shift(patched, shifted)
            source.tenants = (denying("117"),)
            loader_to(redis, source).sync()
            until(lambda: server.denies("117"), "it has followed")
        source.tenants = (denying("116"),)
        loader_to(redis, source).sync()
        until(lambda: server.denies("116"), "it has followed")
        assert server.number() < (time.time() + 86400) * 1000


def test_servers_tell_how_high_the_numbers_were_after_redis_lost_everything(redis: RedisServer) -> None:
    """Numbers that a broken clock once gave, then an empty Redis and a new loader: the next look ends it."""
    publisher = publisher_to(redis)
    source = GivenSource(denying("118"), denying("119", tenant=BOLT, user=BOB))
    loader = loader_to(redis, source)
    loader.sync()
    ahead = time.time_ns() // 1_000_000 + TEN_YEARS // 1_000_000
    for tenant, stands in publisher.standing().items():
        assert stands.pointer is not None
        pointer = replace(stands.pointer, serial=ahead)
        publisher.move(pointer, publisher.standing()[tenant])
    with replica(redis.url, recheck=0.05) as server, redis.client() as client:
        until(lambda: server.current.ready, "both are loaded")
        client.flushall()
        source.tenants = (denying("117"), source.tenants[1])
        fresh = loader_to(redis, source)
        fresh.sync()
        until(lambda: client.exists(KEYS.followed), "the server says what it has followed")
        assert not server.denies("117"), "refused, for now"
        fresh.sync()
        until(lambda: server.denies("117"), "the loader has gone above it")
        until(lambda: server.current.source_error == "", "all is well")
        assert json.loads(client.hget(KEYS.pointers, BOLT))["serial"] > ahead
        source.tenants = (denying("116"), source.tenants[1])
        fresh.sync()
        until(lambda: server.denies("116"), "edits go on")


def test_a_manifest_says_who_is_there_and_is_signed_again_when_it_is_old(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sequence rises with each; where nothing is new and it is young it stays."""
    loader = loader_to(redis, source := GivenSource(denying("118")))
    loader.sync()
    first = manifest_in(redis)
    assert list(first.tenants) == [ACME]
    loader.sync()
    assert manifest_in(redis) == first
    shift(monkeypatch, int((listing.RENEW_SECONDS + 1) * 1e9))
    loader.sync()
    second = manifest_in(redis)
    assert (second.tenants, second.sequence > first.sequence, second.signed_at > first.signed_at) == (
        first.tenants,
        True,
        True,
    )
    source.tenants = (denying("118"), denying("119", tenant=BOLT, user=BOB))
    loader.sync()
    assert set(manifest_in(redis).tenants) == {ACME, BOLT}


def test_a_loader_that_runs_puts_back_a_manifest_and_pointers_of_another_day(redis: RedisServer) -> None:
    """All of Monday: it remembers what it has published since."""
    loader = loader_to(redis, source := GivenSource(denying("118")))
    loader.sync()
    with redis.client() as client, replica(redis.url, recheck=0.05) as server:
        monday = {key: client.dump(key) for key in client.keys("*")}
        source.tenants = (denying("117"),)
        loader.sync()
        until(lambda: server.denies("117"), "it has followed")
        for key, dumped in monday.items():
            client.restore(key, 0, dumped, replace=True)
        until(lambda: server.current.source_error, "the server refuses it")
        assert server.denies("117")
        loader.sync()
        with replica(redis.url) as starting:
            until(lambda: starting.current.ready, "all are there")
            assert starting.denies("117")
        until(lambda: server.current.source_error == "", "all is well")
