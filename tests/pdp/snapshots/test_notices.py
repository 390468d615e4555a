"""Floods of notifications, which every writer of Redis can send, hold up neither an edit nor a stop."""

from __future__ import annotations

import threading
import uuid
from contextlib import contextmanager
from itertools import count, islice
from typing import TYPE_CHECKING

import pytest
from followers import loader_to, replica
from given import GivenSource, denying
from waiting import until

from pdp.rules.publication.keys import Keys
from pdp.snapshots.notices import _MOST_MESSAGES, _MOST_TENANTS, Notices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis_server import RedisServer

KEYS = Keys()


@contextmanager
def flood(redis: RedisServer, name: Callable[[int], str]) -> Iterator[None]:
    """Publishes names as fast as a client can, until the block ends."""
    end = threading.Event()

    def publish() -> None:
        with redis.client() as client:
            numbers = count(1)
            while not end.is_set():
                pipeline = client.pipeline(transaction=False)
                for number in islice(numbers, 2000):
                    pipeline.publish(KEYS.changes, name(number))
                pipeline.execute()

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


@pytest.mark.parametrize("name", [str, lambda number: str(uuid.UUID(int=number))], ids=["short", "of tenants"])
def test_edits_and_stops_go_through_a_flood_of_notifications(redis: RedisServer, name: Callable[[int], str]) -> None:
    """The edit is in force though its own notification is behind a hundred thousand others, and the follower ends."""
    loader = loader_to(redis, source := GivenSource(denying("118")))
    loader.sync()
    with replica(redis.url, recheck=0.5) as server:
        until(lambda: server.denies("118"), "it has loaded")
        with flood(redis, name):
            for extension in ("117", "116"):
                source.tenants = (denying(extension),)
                loader.sync()
                until(lambda: server.denies(extension), "the edit is in force")
            server.follower.stop()
        assert server.current.source_error == ""


def test_what_is_taken_in_one_go_is_bounded_and_names_tenants_alone(redis: RedisServer) -> None:
    """The rest waits for its turn; the look at all pointers has whatever was dropped."""
    tenants = [str(uuid.UUID(int=number)) for number in range(_MOST_TENANTS + 50)]
    with redis.client() as client, client.pubsub(ignore_subscribe_messages=True) as pubsub:
        pubsub.subscribe(KEYS.changes)
        notices = Notices(pubsub)
        assert notices.wait(0.2) == set()
        pipeline = client.pipeline()
        for data in ("x", b"\xff\xfe", "", tenants[0].upper(), *tenants):
            pipeline.publish(KEYS.changes, data)
        pipeline.execute()
        found: set[str] = set()
        while more := notices.wait(0.2):
            assert len(more) <= min(_MOST_TENANTS, _MOST_MESSAGES)
            found |= more
        assert found
        assert found <= {*tenants, tenants[0].upper()}
