"""How a server starts: with nothing that it does not use, and at which priority what follows rules runs."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest
from followers import loader_to
from given import KEY, GivenSource, denying
from programs import Program
from redis_server import RedisServer, free_port
from waiting import until

from pdp.metrics.registry import Metrics
from pdp.snapshots.current import CurrentSnapshots
from pdp.snapshots.follower import Follower
from pdp.snapshots.priority import _NICENESS, stand_back
from rightcall.redis_url import open_redis

if TYPE_CHECKING:
    from collections.abc import Callable

UNUSED = (
    "loader",
    "pydantic",
    "yaml",
    "asyncpg",
    "pika",
    "tenacity",
    "jwt",
    "cryptography.x509",
    "rightcall.client.blocking",
    "rightcall.client.values",
    "pdp.decision_log.log",
    "pdp.tracing",
    "rightcall.programs.server_embedded",
)
"""What only loaders, clients, who may ask, and other options need."""


def test_a_server_of_redis_imports_nothing_that_it_does_not_use() -> None:
    """By Python's own account of what it imports."""
    with RedisServer() as redis:
        loader_to(redis, GivenSource(denying("0900"))).sync()
        addresses = ("--listen", f"127.0.0.1:{free_port()}", "--http", f"127.0.0.1:{free_port()}")
        variables = {"PYTHONPROFILEIMPORTTIME": "1", "RIGHTCALL_SECRET_KEY": KEY.decode()}
        with Program("serve", "--redis", redis.url, *addresses, **variables) as program:
            program.wait_for("rules_loaded")
            program.wait_for("server_started")
            assert program.stop() == 0
    imported = [line["text"].rpartition("|")[2].strip() for line in program.events if line["event"] == "text"]

    assert {"pdp.app", "pdp.snapshots.follower"} <= set(imported)
    assert not [name for name in imported if name in UNUSED or name.startswith("loader.")]


def niceness_after(act: Callable[[], None]) -> tuple[int, int]:
    """That of a thread that has done something, and that of the one that started it."""
    found: list[int] = []

    def run() -> None:
        act()
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0], os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def test_a_thread_that_stands_back_leaves_the_others_as_they_are() -> None:
    """And one that has stood back further already stays there."""
    usual = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def further() -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 15)
        stand_back()

    thread, other = niceness_after(stand_back)
    assert thread == max(usual, _NICENESS)
    assert other == usual
    assert niceness_after(further) == (15, usual)


@pytest.mark.parametrize("stands_back", [True, False])
def test_who_follows_redis_stands_back_where_the_core_answers(*, stands_back: bool) -> None:
    """Where Python answers it does not: it might hold the interpreter's lock and not come to give it back."""
    current = CurrentSnapshots("redis")
    current.answered_elsewhere = stands_back
    usual = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    with RedisServer() as redis, open_redis(redis.url) as client:
        loader = loader_to(redis, GivenSource(denying("0900")))
        loader.sync()
        follower = Follower(client, current, Metrics(current, ""), secrets=(KEY,), recheck=0.1)
        follower.start()
        try:
            until(lambda: current.ready, "it has loaded")
            thread = follower._thread.native_id
            assert thread is not None
            looked = current.contacted_at
            until(lambda: current.contacted_at > looked, "it has gone on to follow")
            lower = max(usual, _NICENESS)
            assert os.getpriority(os.PRIO_PROCESS, thread) == (lower if stands_back else usual)
        finally:
            follower.stop()
