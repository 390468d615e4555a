"""How a server starts: its workers first, nothing that it does not use, and no answer before there are rules."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from followers import loader_to
from given import ALICE, KEY, GivenSource, denying
from programs import Program
from redis_server import RedisServer, free_port
from server import DEADLINE, snapshot_of
from waiting import until

from pdp.app import Server, ServerSettings
from pdp.metrics.registry import Metrics
from pdp.snapshots.current import CurrentSnapshots
from pdp.snapshots.follower import Follower
from pdp.snapshots.priority import _NICENESS, stand_back
from pdp.transports.choice import Transport
from pdp.workers.processes import Recruits
from pdp.workers.shared_snapshots import SharedSnapshots
from rightcall import v1
from rightcall.redis_url import open_redis

if TYPE_CHECKING:
    from collections.abc import Callable

CALL = v1.CheckCallRequest(caller=ALICE, extension="0900")


def ask(address: str) -> v1.CheckCallResponse:
    """An answer, over a connection of its own."""
    with grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        return v1.DecisionServiceStub(channel).CheckCall(CALL, timeout=DEADLINE)


def alive(process: int) -> bool:
    """Whether it runs; one that nobody has waited for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def made(current: SharedSnapshots, recruits: Recruits) -> Server:
    """A server with workers that were started already."""
    settings = ServerSettings(listen="127.0.0.1:0", http="")
    metrics = Metrics(current, "")
    return Server(settings, current, metrics, transport=Transport.NATIVE, workers=2, recruits=recruits)


def test_workers_that_were_started_before_the_server_answer_once_there_are_rules() -> None:
    """Those very processes; until then they say that there are none."""
    current = SharedSnapshots("tests")
    with Recruits(2) as recruits:
        processes = {recruit.process.pid for recruit in recruits._waiting}
        with made(current, recruits) as server:
            assert set(server._transport.processes) == processes  # type: ignore[union-attr] # it is the workers'
            for _ in range(6):
                with pytest.raises(grpc.RpcError) as refused:
                    ask(server.address)
                assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
            current.replace(snapshot_of(denying("0900")))
            until(lambda: answered(server.address), "every worker has the rules")
    assert not any(map(alive, processes))


def answered(address: str) -> bool:
    """Whether several questions in a row, over a connection each, are decided by the rules."""
    try:
        return {ask(address).decision for _ in range(8)} == {v1.Decision.DECISION_DENY}
    except grpc.RpcError:
        return False


def test_rules_that_come_before_the_workers_are_up_are_not_missed() -> None:
    """Each is told all that there is when it has come up."""
    current = SharedSnapshots("tests")
    current.replace(snapshot_of(denying("0901"), number=1))
    loading = threading.Timer(0, lambda: current.replace(snapshot_of(denying("0900"), number=2)))
    with Recruits(2) as recruits:
        loading.start()
        with made(current, recruits) as server:
            loading.join()
            until(lambda: answered(server.address), "every worker has the newest rules")


def test_a_worker_that_dies_before_the_server_starts_is_replaced() -> None:
    """The server serves all the same."""
    current = SharedSnapshots("tests")
    current.replace(snapshot_of(denying("0900")))
    with Recruits(2) as recruits:
        first = recruits._waiting[0].process.pid
        os.kill(first, signal.SIGKILL)
        with made(current, recruits) as server:
            transport = server._transport
            until(lambda: len(set(transport.processes) - {first}) == 2, "there are two")  # type: ignore[union-attr] # likewise
            until(lambda: answered(server.address), "every worker answers")


def test_workers_that_nobody_takes_are_ended() -> None:
    """As where the command line is at fault, or the port is in use."""
    with Recruits(2) as recruits:
        processes = [recruit.process.pid for recruit in recruits._waiting]
        assert all(map(alive, processes))
    assert not any(map(alive, processes))


def test_a_command_that_is_refused_leaves_no_worker() -> None:
    """Its exit code is that of a wrong usage, as without workers."""
    mark = uuid.uuid4().hex
    with Program("serve", "--workers", "2", MARK=mark) as program:
        assert program.wait() == 2
    assert not processes_with(mark)


def processes_with(mark: str) -> list[str]:
    """The processes that have something in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark.encode() in path.read_bytes():
                found.append(path.parent.name)
    return found


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
    """By Python's own account of what it and its workers import; Redis's client is for the supervisor alone."""
    with RedisServer() as redis:
        loader_to(redis, GivenSource(denying("0900"))).sync()
        addresses = ("--listen", f"127.0.0.1:{free_port()}", "--http", f"127.0.0.1:{free_port()}")
        variables = {"PYTHONPROFILEIMPORTTIME": "1", "RIGHTCALL_SECRET_KEY": KEY.decode()}
        with Program("serve", "--redis", redis.url, "--workers", "2", *addresses, **variables) as program:
            program.wait_for("rules_loaded")
            program.wait_for("server_started")
            assert program.stop() == 0
    imported = [line["text"].rpartition("|")[2].strip() for line in program.events if line["event"] == "text"]

    assert {"pdp.app", "pdp.snapshots.follower", "pdp.workers.worker"} <= set(imported)
    assert not [name for name in imported if name in UNUSED or name.startswith("loader.")]
    assert imported.count("redis.client") == 1


def test_what_is_needed_before_workers_are_started_is_little() -> None:
    """Whatever is imported before them is waited for twice."""
    heavy = {"grpc", "redis", "structlog", "prometheus_client", "uvicorn", "starlette", "pydantic", "loader", "asyncio"}
    program = f"import sys, rightcall.cli.commands.serve; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"


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


@pytest.mark.parametrize(
    ("current", "stands_back"), [(SharedSnapshots("redis"), True), (CurrentSnapshots("redis"), False)]
)
def test_who_follows_redis_stands_back_where_workers_answer(current: CurrentSnapshots, *, stands_back: bool) -> None:
    """Where its own process answers it does not: it might hold the interpreter's lock and not come to give it back."""
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
