"""How edits of large tenants get into Redis: by what changed, and whole wherever that does not do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from crowds import CROWD, KEYS, Line
from followers import publisher_to
from given import ACME, KEY

from loader.publishing.publish import PublishedState
from pdp.rules.model import Revision
from pdp.rules.publication.pointer import Pointer
from pdp.rules.snapshot.blob import Section, seal, unseal
from rightcall.redis_url import open_redis

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis
    from redis_server import RedisServer

FEW = 20_000
"""Bytes: more than an edit ships, and a fraction of the blob."""


def received(client: Redis) -> int:
    """Bytes that Redis has got so far."""
    return int(client.info("stats")["total_net_input_bytes"])


def test_an_edit_sends_redis_what_changed_and_redis_has_all_of_it(redis: RedisServer) -> None:
    """Byte for byte what was compiled, through several edits, and each beside its delta."""
    line = Line(open_redis(redis.url))
    first = line.publish("118")
    assert line.in_redis(first) == (line.blobs[first.revision.number], None)
    for extension in ("117", "_00X.", "_0049[2-9]."):
        pointer, blob = line.compile(extension)
        before = received(line.client)
        line.put(pointer, blob)
        assert received(line.client) - before < FEW < len(blob)
        kept, delta = line.in_redis(pointer)
        assert kept == blob
        assert isinstance(delta, bytes)
        assert len(delta) < FEW


def test_sections_that_move_are_moved_inside_redis(redis: RedisServer) -> None:
    """A section that outgrows its room pushes the others; still only what is new is sent."""
    line = Line(open_redis(redis.url))
    first = line.publish("118")
    sections = {section: bytes(extent.view) for section, extent in unseal(line.blobs[first.revision.number]).items()}
    sections[Section.LITERALS] += bytes(range(256)) * 40
    moved = seal(sections, KEY)
    pointer = Pointer.to(ACME, Revision(first.serial + 1, "a" * 64), CROWD)
    before = received(line.client)
    line.put(pointer, moved)
    assert received(line.client) - before < FEW
    assert line.in_redis(pointer)[0] == moved


def evict(line: Line, base: Pointer) -> None:
    """Redis was short of memory."""
    line.client.delete(KEYS.snapshot(ACME, base.revision.number))


def shorten(line: Line, base: Pointer) -> None:
    """Somebody wrote something else there."""
    line.client.set(KEYS.snapshot(ACME, base.revision.number), b"something else")


def overwrite(line: Line, base: Pointer) -> None:
    """Another blob of the same size is there."""
    line.client.setrange(KEYS.snapshot(ACME, base.revision.number), 60, b"abc")


def lose_everything(line: Line, base: Pointer) -> None:
    """Redis was started again."""
    del base
    line.client.flushall()


def take_over(line: Line, base: Pointer) -> None:
    """Another loader has published since."""
    assert Line(line.client).publish("116").serial > base.serial


def forbid_copying(line: Line, base: Pointer) -> None:
    """The loader's user may not; or Redis is of before 6.2 and cannot."""
    del base
    line.client.acl_setuser("default", commands=["-copy"], enabled=True)


@pytest.mark.parametrize("trouble", [evict, shorten, overwrite, lose_everything, take_over, forbid_copying])
def test_where_redis_cannot_make_the_blob_it_is_sent_whole(
    redis: RedisServer, trouble: Callable[[Line, Pointer], None]
) -> None:
    """Nobody is worse off than without deltas, and the next edit is small again where it can be."""
    line = Line(open_redis(redis.url))
    base = line.publish("118")
    trouble(line, base)
    try:
        pointer = line.publish("117")
        assert line.in_redis(pointer)[0] == line.blobs[pointer.revision.number]
    finally:
        line.client.acl_setuser("default", commands=["+copy"], enabled=True)
    before = received(line.client)
    after = line.publish("115")
    assert line.in_redis(after)[0] == line.blobs[after.revision.number]
    assert received(line.client) - before < FEW


def test_a_blob_that_got_shorter_is_sent_whole(redis: RedisServer) -> None:
    """Redis cannot cut one short; servers can, by the delta that lies beside it."""
    line = Line(open_redis(redis.url))
    base = line.publish("118")
    sections = {section: bytes(extent.view) for section, extent in unseal(line.blobs[base.revision.number]).items()}
    sections[Section.STRINGS] = sections[Section.STRINGS][:100]
    shorter = seal(sections, KEY)
    pointer = Pointer.to(ACME, Revision(base.serial + 1, "a" * 64), CROWD)
    line.put(pointer, shorter)
    kept, delta = line.in_redis(pointer)
    assert kept == shorter
    assert delta is not None


def test_now_and_then_a_blob_is_sent_whole(redis: RedisServer) -> None:
    """Whatever happened to the bytes in Redis since, it does not stay there for ever."""
    line = Line(open_redis(redis.url), keep=2)
    first = line.publish("118")
    sections = {section: bytes(extent.view) for section, extent in unseal(line.blobs[first.revision.number]).items()}
    wholes = []
    for number in range(1, 103):
        sections[Section.META] = b"%d" % number
        blob = seal(sections, KEY)
        before = received(line.client)
        line.put(Pointer.to(ACME, Revision(first.serial + number, "a" * 64), CROWD), blob)
        wholes += [number] if received(line.client) - before > len(blob) else []
    assert wholes == [101]


def test_deltas_go_with_the_revisions_that_they_lead_to(redis: RedisServer) -> None:
    """With ``keep=2`` two blobs and two deltas remain of five edits."""
    line = Line(open_redis(redis.url), keep=2)
    pointers = [line.publish(extension) for extension in ("118", "117", "116", "115", "114")]
    kept = [pointer.revision.number for pointer in pointers[-2:]]
    with redis.client() as client:
        found = {*client.scan_iter("rightcall:snapshot:*"), *client.scan_iter("rightcall:delta:*")}
    assert found == {key(ACME, number).encode() for number in kept for key in (KEYS.snapshot, KEYS.delta)}


def test_small_tenants_are_sent_whole(redis: RedisServer) -> None:
    """Of a few kilobytes nothing can be spared."""
    publisher = publisher_to(redis)
    for number in (1, 2):
        pointer = Pointer.to(ACME, Revision(number, "a" * 64), 1)
        publisher.publish(
            pointer, seal(dict.fromkeys(Section, b"{}"), KEY), publisher.standing().get(ACME, PublishedState())
        )
    with redis.client() as client:
        assert not list(client.scan_iter("rightcall:delta:*"))
