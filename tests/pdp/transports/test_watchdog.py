"""Threads that are stuck are noticed, said and recovered from."""

from __future__ import annotations

import http.client
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from given import ALICE, denying
from server import DEADLINE, current_of, running_server
from structlog.testing import capture_logs
from waiting import until

from pdp.snapshots.current import CurrentSnapshots
from pdp.transports.choice import Transport
from pdp.transports.watchdog import Watchdog
from rightcall import v1

if TYPE_CHECKING:
    import pytest


def test_threads_that_are_stuck_are_said_and_so_is_that_they_are_not_any_more() -> None:
    """With what each of them is at."""
    with ThreadPoolExecutor(2, thread_name_prefix="held") as pool, capture_logs() as logs:
        release = threading.Event()
        held = [pool.submit(release.wait) for _ in range(2)]
        dog = Watchdog(pool, "held")
        dog.start()
        until(lambda: dog.stuck, "it is noticed")
        release.set()
        until(lambda: not dog.stuck, "it is over")
        dog.stop()
        assert all(one.result(DEADLINE) for one in held)

    said = {entry["event"]: entry for entry in logs}
    assert {"threads_stuck", "threads_recovered"} <= said.keys()
    assert all("wait" in stack for stack in said["threads_stuck"]["threads"].values())


def test_one_thread_that_gets_round_to_calls_is_enough() -> None:
    """A long call is no stuck server."""
    with ThreadPoolExecutor(2, thread_name_prefix="held") as pool:
        release = threading.Event()
        held = pool.submit(release.wait)
        dog = Watchdog(pool, "held")
        dog.start()
        for _ in range(6):
            assert not release.wait(1.0)
            assert not dog.stuck
        release.set()
        dog.stop()
        assert held.result(DEADLINE)


def test_threads_that_wait_for_clients_are_not_stuck() -> None:
    """Clients that do not send cannot make the liveness probe fail."""
    with ThreadPoolExecutor(2, thread_name_prefix="held") as pool:
        release = threading.Event()
        held = [pool.submit(release.wait) for _ in range(2)]
        waits = threading.Event()
        waits.set()
        dog = Watchdog(pool, "held", waits.is_set)
        dog.start()
        for _ in range(7):
            assert not release.wait(1.0)
            assert not dog.stuck
        waits.clear()
        until(lambda: dog.stuck, "the threads wait for no client any more, and are stuck")
        release.set()
        dog.stop()
        assert all(one.result(DEADLINE) for one in held)


def alive(address: str) -> int:
    """The status of the liveness probe."""
    connection = http.client.HTTPConnection(address, timeout=DEADLINE)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status
    finally:
        connection.close()


def test_liveness_fails_while_no_thread_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """So an orchestrator starts the server again; the metric says it as well."""
    release = threading.Event()

    def hang(*_: object) -> None:
        release.wait(6 * DEADLINE)

    current = current_of(denying("0900"))
    monkeypatch.setattr(CurrentSnapshots, "resolve", hang)
    with running_server(current=current, threads=2, transport=Transport.GRPCIO) as running:
        before = alive(running.server.http_address)
        call = v1.CheckCallRequest(caller=ALICE, extension="0900")
        calls = [running.decisions.CheckCall.future(call, timeout=6 * DEADLINE) for _ in range(2)]
        until(lambda: alive(running.server.http_address) == 503, "it is noticed")
        stuck = running.metrics.registry.get_sample_value("rightcall_threads_stuck")
        release.set()
        until(lambda: alive(running.server.http_address) == 200, "it is over")
        for one in calls:
            one.cancel()

    assert (before, stuck) == (200, 1)
