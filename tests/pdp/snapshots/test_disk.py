"""Servers that keep their last good rules on disk, and start from them."""

from __future__ import annotations

import contextlib
import random
from typing import TYPE_CHECKING

import pytest
from followers import loader_to
from given import ACME, ALICE, BOB, BOLT, KEY, GivenSource, denying
from waiting import until

from pdp.metrics.registry import Metrics
from pdp.snapshots.current import CurrentSnapshots
from pdp.snapshots.disk import SnapshotStore, StateError
from pdp.snapshots.follower import Follower
from pdp.snapshots.memory import LARGE, read
from rightcall.redis_url import open_redis

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from redis_server import RedisServer


@contextlib.contextmanager
def server_with(state: Path, url: str, *, secret: bytes = KEY) -> Iterator[CurrentSnapshots]:
    """What a server holds that follows Redis and has a state directory."""
    current = CurrentSnapshots("redis")
    store = SnapshotStore(state, (secret,))
    metrics = Metrics(current, "test")
    follower = Follower(open_redis(url), current, metrics, secrets=(secret,), recheck=0.1, store=store)
    follower.start()
    try:
        yield current
    finally:
        follower.stop()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory that does not exist yet."""
    return tmp_path / "state"


def denies(current: CurrentSnapshots, extension: str, tenant: str = ACME, caller: str = ALICE) -> bool:
    """Whether a call is denied."""
    held = current.get(tenant)
    return held is not None and held.snapshot.decide(caller, extension, "").decision.name == "DENY"


def origin(current: CurrentSnapshots, tenant: str = ACME) -> str:
    """Where a tenant's rules come from; empty where there are none."""
    held = current.get(tenant)
    return held.origin if held else ""


@pytest.mark.parametrize("size", [1, LARGE - 1, LARGE, 3 * LARGE + 1])
def test_a_file_that_is_cut_short_or_written_to_changes_no_rules(tmp_path: Path, size: int) -> None:
    """Were it mapped, the first would end the process, and the second decide calls unverified."""
    path = tmp_path / "file"
    content = random.Random(size).randbytes(size)
    path.write_bytes(content)
    blob = read(path)
    with path.open("r+b") as file:
        file.write(bytes(size))
    written = bytes(blob) == content
    path.write_bytes(b"")

    assert written
    assert bytes(blob) == content


def test_a_server_that_starts_while_redis_is_away_has_its_last_rules_at_once(redis: RedisServer, state: Path) -> None:
    """It says that they are from disk; and Redis has the last word when it is back."""
    source = GivenSource(denying("118"))
    loader_to(redis, source).sync()
    with server_with(state, redis.url) as current:
        until(lambda: denies(current, "118"), "it has loaded")
        until(lambda: list(state.glob("*.pointer")), "it has saved")
    redis.kill()
    with server_with(state, redis.url) as current:
        assert denies(current, "118")
        assert origin(current) == "disk"
        redis.start()
        source.tenants = (denying("117"),)
        loader_to(redis, source).sync()
        until(lambda: denies(current, "117"), "it follows")
        assert origin(current) == "redis"


def test_rules_from_disk_that_redis_confirms_are_from_redis(redis: RedisServer, state: Path) -> None:
    """The same revision is not fetched again; it only is no longer from disk."""
    loader_to(redis, GivenSource(denying("118"))).sync()
    for _ in range(2):
        with server_with(state, redis.url) as current:
            until(lambda: origin(current) == "redis", "Redis has confirmed it")
    assert len(list(state.iterdir())) == 3, "pointer, snapshot and manifest"


def test_only_the_last_revision_is_kept_and_nothing_of_a_tenant_that_is_gone(redis: RedisServer, state: Path) -> None:
    """The directory does not grow with every edit; a tenant that is gone does not come back from disk."""
    source = GivenSource(denying("118"), denying("119", tenant=BOLT, user=BOB))
    loader = loader_to(redis, source)
    loader.sync()
    with server_with(state, redis.url) as current:
        until(lambda: denies(current, "118") and origin(current, BOLT), "it has loaded")
        for extension in ("117", "116"):
            source.tenants = (denying(extension), source.tenants[1])
            loader.sync()
            until(lambda: denies(current, extension), "it has followed")
        source.tenants = source.tenants[:1]
        loader.sync()
        until(lambda: not origin(current, BOLT), "it is gone")
        until(lambda: len(list(state.glob("*.snapshot"))) == 1, "only the last is kept")
    redis.kill()
    with server_with(state, redis.url) as current:
        assert [held.snapshot.tenant for held in current.held()] == [ACME]


@pytest.mark.parametrize("damage", ["flipped", "truncated", "empty", "missing", "pointer", "key"])
def test_what_is_damaged_on_disk_is_refused_and_the_rest_is_loaded(
    redis: RedisServer, state: Path, damage: str
) -> None:
    """Nothing on disk is trusted more than what comes from Redis; the other tenant is there."""
    source = GivenSource(denying("118"), denying("119", tenant=BOLT, user=BOB))
    loader_to(redis, source).sync()
    with server_with(state, redis.url) as current:
        until(lambda: len(list(state.glob("*.pointer"))) == 2, "it has saved")
    redis.kill()
    blob = next(state.glob(f"{ACME}.*.snapshot"))
    content = blob.read_bytes()
    match damage:
        case "flipped":
            blob.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        case "truncated":
            blob.write_bytes(content[: len(content) // 2])
        case "empty":
            blob.write_bytes(b"")
        case "missing":
            blob.unlink()
        case "pointer":
            (state / f"{ACME}.pointer").write_bytes(b"{}")
    with server_with(state, redis.url, secret=b"another key of the tests'" if damage == "key" else KEY) as current:
        held = [held.snapshot.tenant for held in current.held()]
    assert held == ([] if damage == "key" else [BOLT])


def test_a_rolled_back_redis_does_not_bring_back_older_rules_than_those_on_disk(
    redis: RedisServer, state: Path
) -> None:
    """What was followed before the restart counts."""
    source = GivenSource(denying("118"))
    loader = loader_to(redis, source)
    loader.sync()
    with redis.client() as client:
        old = client.hgetall("rightcall:{pointers}")
        source.tenants = (denying("117"),)
        loader.sync()
        with server_with(state, redis.url) as current:
            until(lambda: denies(current, "117") and list(state.glob("*.pointer")), "it has saved")
        client.hset("rightcall:{pointers}", mapping=old)
        with server_with(state, redis.url) as current:
            until(lambda: "not newer" in current.source_error, "it has refused")
            assert denies(current, "117")


def test_a_state_directory_that_cannot_be_used_is_told_at_the_start(tmp_path: Path) -> None:
    """Rather than when it is needed; with what to do."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="give another --state-dir"):
        SnapshotStore(tmp_path / "file" / "state")
