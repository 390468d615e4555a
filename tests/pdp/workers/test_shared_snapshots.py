"""Snapshots in memory files, which several processes answer from."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from crowds import crowd
from followers import loader_to
from given import ACME, ALICE, KEY, GivenSource, denying
from redis_server import RedisServer
from server import snapshot_of
from waiting import until

from pdp.metrics.registry import Metrics
from pdp.rules.errors import SnapshotCorrupt, SnapshotUntrusted
from pdp.rules.snapshot.blob import Section, seal, unseal
from pdp.rules.snapshot.snapshot import decode
from pdp.snapshots.disk import SnapshotStore
from pdp.snapshots.follower import Follower
from pdp.snapshots.memory import LARGE
from pdp.workers.shared_snapshots import SharedBlob, SharedMemory, SharedSnapshots, opened
from rightcall.redis_url import open_redis

if TYPE_CHECKING:
    from collections.abc import Iterator


def open_files() -> set[str]:
    """The numbers of the memory files that this process has open."""
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if "memfd:rightcall" in str(link.readlink()):
                found.add(link.name)
    return found


def large_blob() -> bytes:
    """Compiled rules that get memory of their own, for the text in them that nobody refers to."""
    sections = {section: bytes(extent.view) for section, extent in unseal(snapshot_of(denying("0900")).blob).items()}
    sections[Section.STRINGS] += bytes(LARGE)
    return seal(sections, None)


def in_pieces(blob: bytes) -> Iterator[bytes]:
    """As they are fetched."""
    return (blob[at : at + 100_000] for at in range(0, len(blob), 100_000))


def test_shared_rules_cannot_be_changed_and_are_there_once() -> None:
    """The file is sealed, and goes with who holds it."""
    current = SharedSnapshots("tests")
    current.replace(snapshot_of(denying("0900")))
    (shared,) = current.shared()
    snapshot = opened(shared.number)

    with pytest.raises(PermissionError):
        os.write(shared.number, b"x")
    assert snapshot.decide(ALICE, "0900", "").permission_id == 1
    current.replace(snapshot_of(denying("0901"), number=2))
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(shared.number)
    assert snapshot.decide(ALICE, "0900", "").permission_id == 1


def test_what_was_put_together_in_a_memory_file_is_shared_as_it_lies() -> None:
    """It is neither copied nor opened once more, and its file is closed with it."""
    before = open_files()
    blob = large_blob()
    snapshot = decode(SharedMemory().filled(len(blob), in_pieces(blob)))
    current = SharedSnapshots("tests")
    current.replace(snapshot)

    held = current.get(ACME)
    assert held is not None
    assert held.snapshot is snapshot
    assert isinstance(snapshot.blob, SharedBlob)
    assert opened(snapshot.blob.number).blob[:] == blob
    assert open_files() > before
    del held, snapshot
    current.remove(ACME)
    assert open_files() == before


def test_a_blob_that_is_refused_leaves_no_file_open() -> None:
    """Or a server that is sent garbage again and again would run out of them."""
    before = open_files()
    damaged = large_blob()[:-1] + b"?"
    with pytest.raises(SnapshotCorrupt):
        decode(SharedMemory().filled(len(damaged), in_pieces(damaged)))
    assert open_files() == before


def broken() -> Iterator[bytes]:
    """Pieces that end with an error."""
    yield bytes(LARGE)
    raise ConnectionError


def test_pieces_that_do_not_come_leave_no_file_open() -> None:
    """Redis may go away in the middle of a snapshot."""
    before = open_files()
    with pytest.raises(ConnectionError):
        SharedMemory().filled(LARGE * 2, broken())
    assert open_files() == before


def test_what_is_not_sealed_is_not_opened() -> None:
    """Somebody could change it, and it is not hashed."""
    number = os.memfd_create("tests", os.MFD_ALLOW_SEALING)
    try:
        os.write(number, snapshot_of(denying("0900")).blob)
        with pytest.raises(SnapshotUntrusted, match="not sealed"):
            opened(number)
    finally:
        os.close(number)


def test_rules_from_redis_and_from_disk_come_to_lie_in_memory_files(tmp_path: Path) -> None:
    """Whole, by a delta and from the state directory; a change of the file on disk later changes none of them."""
    with RedisServer() as redis:
        source = GivenSource(crowd("118"))
        loader = loader_to(redis, source)
        loader.sync()

        @contextlib.contextmanager
        def following() -> Iterator[SharedSnapshots]:
            current = SharedSnapshots("redis")
            store = SnapshotStore(tmp_path, (KEY,))
            client = open_redis(redis.url)
            follower = Follower(client, current, Metrics(current, ""), secrets=(KEY,), recheck=0.1, store=store)
            with client:
                follower.start()
                try:
                    yield current
                finally:
                    follower.stop()

        def shared_and_denying(current: SharedSnapshots, extension: str) -> bool:
            held = current.get(ACME)
            if held is None or held.snapshot.decide(ALICE, extension, "").decision.name != "DENY":
                return False
            return isinstance(held.snapshot.blob, SharedBlob)

        with following() as current:
            until(lambda: shared_and_denying(current, "118"), "it has loaded")
            source.tenants = (crowd("117"),)
            loader.sync()
            until(lambda: shared_and_denying(current, "117"), "it has followed")
        redis.kill()
        with following() as current:
            assert shared_and_denying(current, "117")
            (stored,) = tmp_path.glob("*.snapshot")
            stored.write_bytes(bytes(stored.stat().st_size))
            assert shared_and_denying(current, "117")
