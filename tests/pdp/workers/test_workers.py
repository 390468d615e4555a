"""Worker processes: that several answer as one, hear of every change, and are replaced when they die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import grpc
import pytest
from given import ACME, ALICE, BOB, BOLT, KEY, denying
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from server import DEADLINE, snapshot_of
from waiting import until

from pdp.app import Server, ServerSettings
from pdp.errors import ListenError, TransportError
from pdp.metrics.registry import Metrics
from pdp.rules.compiler.compiler import Compiler
from pdp.rules.model import Revision
from pdp.rules.snapshot.snapshot import decode
from pdp.runtime.cores import available_cores
from pdp.security.settings import Auth, SecuritySettings
from pdp.transports.choice import Transport, choose_transport
from pdp.workers.pipe import Channel, Gone
from pdp.workers.shared_snapshots import SharedSnapshots
from pdp.workers.transport import WorkersTransport
from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pdp.rules.model import Tenant
    from pdp.rules.snapshot.snapshot import Snapshot

CALL = v1.CheckCallRequest(caller=ALICE, extension="0900")
DENY, ALLOW = v1.Decision.DECISION_DENY, v1.Decision.DECISION_ALLOW


class Crew(NamedTuple):
    """A server with workers."""

    server: Server
    current: SharedSnapshots
    metrics: Metrics

    @property
    def processes(self) -> list[int]:
        """Those of the workers."""
        assert isinstance(self.server._transport, WorkersTransport)
        return self.server._transport.processes

    def ask(self, call: v1.CheckCallRequest = CALL) -> v1.CheckCallResponse:
        """An answer, over a connection of its own, so that each worker gets its turn."""
        with self.channel() as channel:
            return v1.DecisionServiceStub(channel).CheckCall(call, timeout=DEADLINE)

    def channel(self) -> grpc.Channel:
        """A connection that nobody else uses."""
        return grpc.insecure_channel(self.server.address, [("grpc.use_local_subchannel_pool", 1)])

    def counted(self, name: str, **labels: str) -> float:
        """A metric."""
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


@contextmanager
def crew(
    *rules: Tenant | Snapshot, workers: int = 2, secrets: Sequence[bytes] = (), drain_seconds: float = 10.0
) -> Iterator[Crew]:
    """A server with workers on a free port."""
    current = SharedSnapshots("rules of a test")
    for one in rules:
        current.replace(one if not hasattr(one, "users") else snapshot_of(one))  # type: ignore[arg-type] # a tenant
    metrics = Metrics(current, "1.2.3")
    open_to_all = SecuritySettings(auth=Auth.NONE)
    settings = ServerSettings(listen="127.0.0.1:0", http="", security=open_to_all, drain_seconds=drain_seconds)
    made = Server(settings, current, metrics, secrets=secrets, transport=Transport.NATIVE, workers=workers)
    with made as server:
        yield Crew(server, current, metrics)


@pytest.fixture(scope="module")
def two() -> Iterator[Crew]:
    """Two workers with rules."""
    with crew(denying("0900")) as it:
        yield it


def test_every_worker_answers_and_all_are_counted_together(two: Crew) -> None:
    """Single questions, many at once, and what only the supervisor answers."""
    labels = {"decision": "deny", "stage": "user"}
    before = two.counted("rightcall_decisions_total", **labels)
    answers = {two.ask().decision for _ in range(20)}
    with two.channel() as channel:
        many = v1.DecisionServiceStub(channel).CheckCalls(v1.CheckCallsRequest(calls=[CALL] * 5), timeout=DEADLINE)
        status = v1.DirectoryServiceStub(channel).GetStatus(v1.GetStatusRequest(), timeout=DEADLINE)

    assert answers == {answer.response.decision for answer in many.answers} == {DENY}
    assert [tenant.tenant for tenant in status.tenants] == [ACME]
    until(lambda: two.counted("rightcall_decisions_total", **labels) == before + 25, "all decisions are counted")
    assert two.counted("rightcall_check_duration_seconds_count") >= 25


def test_health_is_served_through_every_worker(two: Crew) -> None:
    """By the supervisor."""
    for _ in range(6):
        with two.channel() as channel:
            check = channel.unary_unary(
                "/grpc.health.v1.Health/Check",
                request_serializer=HealthCheckRequest.SerializeToString,
                response_deserializer=HealthCheckResponse.FromString,
            )
            assert check(HealthCheckRequest(), timeout=DEADLINE).status == HealthCheckResponse.SERVING


def test_health_promises_nothing_before_every_worker_has_the_first_rules() -> None:
    """However long one of them takes."""
    with crew() as crew_:
        slow, _ = crew_.processes
        os.kill(slow, signal.SIGSTOP)
        loading = threading.Thread(target=crew_.current.replace, args=(snapshot_of(denying("0900")),))
        loading.start()
        loading.join(0.3)
        promised = crew_.current.ready
        os.kill(slow, signal.SIGCONT)
        loading.join(DEADLINE)
        answers = {crew_.ask().decision for _ in range(8)}

    assert not promised
    assert crew_.current.ready
    assert answers == {DENY}


def test_an_edit_reaches_every_worker() -> None:
    """So do a new tenant and one that goes."""
    with crew(denying("0900")) as crew_:
        crew_.current.replace(snapshot_of(denying("0901"), number=2))
        crew_.current.replace(snapshot_of(denying("0900", tenant=BOLT, user=BOB)))
        theirs = v1.CheckCallRequest(caller=BOB, extension="0900")
        until(lambda: {crew_.ask().decision for _ in range(8)} == {ALLOW}, "every worker has the edit")
        until(lambda: {crew_.ask(theirs).decision for _ in range(8)} == {DENY}, "every worker has the new tenant")
        crew_.current.remove(BOLT)
        until(lambda: {crew_.ask(theirs).decision for _ in range(8)} == {ALLOW}, "no worker has it any more")


def test_a_worker_that_is_stuck_is_replaced() -> None:
    """Its connections would time out for ever; nothing else tells a stopped process from a quiet one."""
    with crew(denying("0900")) as crew_:
        first = crew_.processes
        crew_.ask()
        time.sleep(1.0)  # both have said that they live
        os.kill(first[0], signal.SIGSTOP)
        until(lambda: first[0] not in crew_.processes and len(crew_.processes) == 2, "another one has its place")
        until(lambda: crew_.counted("rightcall_worker_restarts_total") == 1, "it is counted")


def test_a_worker_that_is_killed_is_replaced_and_has_the_rules() -> None:
    """Those that were edited since the start; its calls stay counted."""
    with crew(denying("0900")) as crew_:
        crew_.current.replace(snapshot_of(denying("0901"), number=2))
        first = crew_.processes
        os.kill(first[0], signal.SIGKILL)
        until(lambda: len(set(crew_.processes) - set(first)) == 1, "there is another worker")
        until(lambda: crew_.counted("rightcall_worker_restarts_total") == 1, "it is counted")
        os.kill(first[1], signal.SIGKILL)
        until(lambda: not set(first) & set(crew_.processes) and len(crew_.processes) == 2, "both are new")

        def all_answer() -> bool:
            try:
                return {crew_.ask().decision for _ in range(8)} == {ALLOW}
            except grpc.RpcError:  # the new ones do not listen yet
                return False

        until(all_answer, "the new ones answer by the newest rules")


def test_a_stop_does_not_wait_for_a_worker_that_only_just_comes_up() -> None:
    """However long calls in flight may take."""
    with crew(denying("0900"), drain_seconds=3600.0) as crew_:
        first = crew_.processes
        os.kill(first[0], signal.SIGKILL)
        until(lambda: len(set(crew_.processes) - set(first)) == 1, "there is another worker")
        stopping = threading.Thread(target=crew_.server.stop, daemon=True)
        stopping.start()
        stopping.join(DEADLINE)
        assert not stopping.is_alive()


def test_challenges_of_any_worker_are_answered_in_one_place() -> None:
    """So that attempts are counted once, however many workers there are."""
    blob = Compiler(secret=KEY).compile(denying("0900", password="1234"), Revision(1, "ab" * 32), compiled_at=1.5e9)
    with crew(decode(blob), secrets=[KEY]) as crew_:
        left = []
        for _ in range(3):
            challenge = crew_.ask().challenge
            with crew_.channel() as channel:
                answer = v1.DecisionServiceStub(channel).AnswerChallenge(
                    v1.AnswerChallengeRequest(challenge=challenge, password="9999"), timeout=DEADLINE
                )
            left.append(answer.attempts_left)

    assert left == [2, 1, 0]


def test_a_stop_answers_what_has_come_and_leaves_no_process() -> None:
    """Clients see answers, then UNAVAILABLE, and nothing else."""
    ends: list[grpc.StatusCode] = []
    busy = threading.Barrier(5)
    with crew(denying("0900")) as crew_:
        processes = crew_.processes

        def fire() -> None:
            with crew_.channel() as channel:
                stub = v1.DecisionServiceStub(channel)
                stub.CheckCall(CALL, timeout=DEADLINE)
                busy.wait(DEADLINE)
                try:
                    while True:
                        stub.CheckCall(CALL, timeout=DEADLINE)
                except grpc.RpcError as error:
                    ends.append(error.code())

        threads = [threading.Thread(target=fire) for _ in range(4)]
        for thread in threads:
            thread.start()
        busy.wait(DEADLINE)
        crew_.server.stop()
        for thread in threads:
            thread.join(DEADLINE)

    assert ends == [grpc.StatusCode.UNAVAILABLE] * 4
    assert not [process for process in processes if Path(f"/proc/{process}").exists()]


def test_workers_end_with_their_supervisor() -> None:
    """Even if nothing could be said any more."""
    program = (
        "import os, signal, sys\n"
        "from test_workers import crew, denying\n"
        "with crew(denying('0900')) as it:\n"
        "    print(*it.processes, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    paths = os.pathsep.join(filter(None, (*sys.path, str(Path(__file__).parent))))
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    processes = next(line for line in done.stdout.splitlines() if line.replace(" ", "").isdigit()).split()

    assert len(processes) == 2
    until(lambda: not any(alive(process) for process in processes), "the workers have ended")


def alive(process: str) -> bool:
    """Whether it runs; one that nobody has waited for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="ascii").split()[2] != "Z"
    except OSError:
        return False


def test_a_port_in_use_is_a_clear_error(two: Crew) -> None:
    """Although workers share theirs with each other."""
    current = SharedSnapshots("tests")
    settings = ServerSettings(listen=two.server.address, http="")
    server = Server(settings, current, Metrics(current, ""), transport=Transport.NATIVE, workers=2)
    with pytest.raises(ListenError, match="listens there already"):
        server.start()


def test_what_workers_cannot_do_is_refused() -> None:
    """By name."""
    exposed = ServerSettings(listen="0.0.0.0:50051", security=SecuritySettings(auth=Auth.NONE))
    for wanted, settings, problem in (
        (Transport.GRPCIO, ServerSettings(), "one process"),
        (Transport.AUTO, ServerSettings(listen="unix:/run/a"), "Unix socket"),
        (Transport.AUTO, exposed, "--transport native"),
        (Transport.AUTO, ServerSettings(max_connection_age=1), "--max-connection-age"),
    ):
        with pytest.raises(TransportError, match=problem):
            choose_transport(wanted, settings, decision_log=False, workers=2)
    assert choose_transport(Transport.AUTO, ServerSettings(), decision_log=False, workers=2) is Transport.NATIVE


def test_a_channel_tells_that_the_other_end_is_gone() -> None:
    """To whoever speaks and to whoever listens."""
    ours, theirs = Channel.pair()
    theirs.close()
    with pytest.raises(Gone):
        ours.receive(1.0)
    with pytest.raises(Gone):
        ours.send("anything")
    ours.close()


@pytest.mark.parametrize(
    ("quota", "cores"), [("max 100000", None), ("50000 100000", 1), ("100001 100000", 2), ("9900000 100000", None)]
)
def test_cores_are_those_of_the_container(quota: str, cores: int | None, tmp_path: Path) -> None:
    """Rounded up, and never more than the machine gives."""
    file = tmp_path / "cpu.max"
    file.write_text(quota, encoding="ascii")
    mine = len(os.sched_getaffinity(0))

    assert available_cores(file) == (mine if cores is None else min(cores, mine))
    assert available_cores(tmp_path / "none", (tmp_path / "none", tmp_path / "none")) == mine
