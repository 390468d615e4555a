"""A stop that loses no call, and that nobody holds up."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import grpc
import pytest
from given import ALICE, denying
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from server import DEADLINE, current_of, running_server
from waiting import until

from pdp.app import Server, ServerSettings
from pdp.metrics.registry import Metrics
from pdp.snapshots.current import CurrentSnapshots
from pdp.transports.choice import Transport
from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server import Running

    from pdp.rules.snapshot.snapshot import Snapshot

pytestmark = pytest.mark.every_transport

CALL = v1.CheckCallRequest(caller=ALICE, extension="0900")


class Gate(CurrentSnapshots):
    """Holds calls back until it is opened."""

    def __init__(self, *_: object) -> None:
        super().__init__("tests")
        self.waiting = threading.Semaphore(0)
        self.opened = threading.Event()

    def resolve(self, caller: str, outcall: str, tenant: str) -> Snapshot | None:
        """As ever, but not before the gate is opened."""
        self.waiting.release()
        assert self.opened.wait(DEADLINE)
        return super().resolve(caller, outcall, tenant)


def gated() -> Gate:
    """A closed gate, with rules behind it."""
    gate = Gate()
    gate.replace(current_of(denying("0900")).held()[0].snapshot)
    return gate


def test_a_stop_answers_every_call_in_flight() -> None:
    """Those at work and those that wait for a thread, while new ones are refused and nobody is told to come."""
    gate = gated()
    with running_server(current=gate, threads=2, drain_seconds=60, transport=Transport.GRPCIO) as running:
        flying = [running.decisions.CheckCall.future(CALL, timeout=60) for _ in range(8)]
        for _ in range(2):
            assert gate.waiting.acquire(timeout=DEADLINE)
        stopping = threading.Thread(target=running.server.stop)
        stopping.start()
        until(lambda: health_over_http(running) == (503, 200), "the server says that it stops")
        until(lambda: refused(running), "the server takes no more calls")
        still_working = stopping.is_alive()
        gate.opened.set()
        answers = [call.result() for call in flying]
        stopping.join(DEADLINE)

    assert still_working
    assert [answer.decision for answer in answers] == [v1.Decision.DECISION_DENY] * 8
    assert not stopping.is_alive()


def health_over_http(running: Running) -> tuple[int, int]:
    """What /readyz and /healthz say."""
    return http_status(running, "/readyz"), http_status(running, "/healthz")


def http_status(running: Running, path: str) -> int:
    """The status of a page."""
    try:
        with urllib.request.urlopen(f"http://{running.server.http_address}{path}", timeout=DEADLINE) as page:
            return int(page.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def refused(running: Running) -> bool:
    """Whether a new client is turned away."""
    with grpc.insecure_channel(running.server.address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        call = v1.DecisionServiceStub(channel).CheckCall.future(CALL, timeout=0.5)
        return call.code() is grpc.StatusCode.UNAVAILABLE


def test_a_stop_ends_calls_that_outlast_the_drain_time() -> None:
    """A client that will not end holds nobody up."""
    gate = gated()
    with running_server(current=gate, drain_seconds=0.1, transport=Transport.GRPCIO) as running:
        call = running.decisions.CheckCall.future(CALL, timeout=60)
        assert gate.waiting.acquire(timeout=DEADLINE)
        running.server.stop()
        gate.opened.set()

        assert call.code() in {grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE}


RETRYING = json.dumps(
    {
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [
            {
                "name": [{"service": "rightcall.v1.DecisionService"}],
                "retryPolicy": {
                    "maxAttempts": 5,
                    "initialBackoff": "0.02s",
                    "maxBackoff": "0.2s",
                    "backoffMultiplier": 2,
                    # As our clients: gRPC's core cancels what it has not handed over when it is told to stop.
                    "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
                },
            }
        ],
    }
)


def both(one: Running, other: Running, config: str) -> grpc.Channel:
    """A channel to two servers, with connections of its own."""
    options = [
        ("grpc.service_config", config),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.default_authority", "rightcall"),  # two addresses make none that every server takes
    ]
    return grpc.insecure_channel(f"ipv4:{one.server.address},{other.server.address}", options)


def test_clients_that_retry_notice_no_stop_of_one_of_two_servers() -> None:
    """Every call gets its answer while one of the two goes away."""
    with running_server(denying("0900")) as one, running_server(denying("0900")) as other:
        stopped = threading.Event()

        def work() -> int:
            with both(one, other, RETRYING) as channel:
                stub = v1.DecisionServiceStub(channel)
                calls = 0
                while not stopped.is_set() or calls < 50:
                    assert stub.CheckCall(CALL, timeout=DEADLINE).decision == v1.Decision.DECISION_DENY
                    calls += 1
                return calls

        with ThreadPoolExecutor(4) as clients:
            flights = [clients.submit(work) for _ in range(4)]
            one.server.stop()
            stopped.set()
            calls = [flight.result(30) for flight in flights]

    assert min(calls) >= 50


@pytest.mark.parametrize("policy", ["round_robin", "pick_first"])
def test_clients_that_do_not_retry_go_elsewhere_when_a_server_stops(policy: str) -> None:
    """They are told to, and served until they have gone: a whole drain costs a client one call at the very most."""
    config = json.dumps({"loadBalancingConfig": [{policy: {}}]})
    with (
        running_server(denying("0900"), drain_delay=0.5, transport=Transport.GRPCIO) as one,
        running_server(denying("0900"), transport=Transport.GRPCIO) as other,
    ):
        stopped = threading.Event()

        def work() -> Counter[grpc.StatusCode]:
            ends: Counter[grpc.StatusCode] = Counter()
            with both(one, other, config) as channel:
                stub = v1.DecisionServiceStub(channel)
                while not stopped.is_set() or ends[grpc.StatusCode.OK] < 50:
                    try:
                        stub.CheckCall(CALL, timeout=DEADLINE)
                    except grpc.RpcError as error:
                        ends[error.code()] += 1
                    else:
                        ends[grpc.StatusCode.OK] += 1
            return ends

        with ThreadPoolExecutor(4) as clients:
            flights = [clients.submit(work) for _ in range(4)]
            one.server.stop()
            stopped.set()
            ends = [flight.result(30) for flight in flights]

    assert max(each.total() - each[grpc.StatusCode.OK] for each in ends) <= 1, ends


def test_a_health_watcher_hears_of_the_stop_and_does_not_hold_it_up() -> None:
    """It is told NOT_SERVING, and its stream ends long before the drain time does."""
    with running_server(denying("0900"), drain_seconds=300) as running:
        open_watch = running.channel.unary_stream(
            "/grpc.health.v1.Health/Watch",
            request_serializer=HealthCheckRequest.SerializeToString,
            response_deserializer=HealthCheckResponse.FromString,
        )
        watch = iter(open_watch(HealthCheckRequest(), timeout=60))
        first = next(watch).status
        running.server.stop()
        rest = [response.status for response in watch]

    assert (first, rest) == (HealthCheckResponse.SERVING, [HealthCheckResponse.NOT_SERVING])


def test_idle_reflection_sessions_neither_block_calls_nor_the_stop() -> None:
    """More of them than there are threads for calls."""
    release = threading.Event()

    def silence() -> Iterator[bytes]:
        release.wait(60)
        yield from ()

    with running_server(denying("0900"), threads=2, drain_seconds=300) as running:
        method = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
        reflect: grpc.StreamStreamMultiCallable[bytes, bytes] = running.channel.stream_stream(method)
        sessions = [reflect(silence(), timeout=60) for _ in range(8)]
        answer = running.decisions.CheckCall(CALL, timeout=DEADLINE)
        running.server.stop()
        release.set()
        ends = {session.code() for session in sessions}

    assert answer.decision == v1.Decision.DECISION_DENY
    assert grpc.StatusCode.DEADLINE_EXCEEDED not in ends


def test_stopping_twice_is_stopping_once() -> None:
    """And so is stopping what never started."""
    with running_server(denying("0900")) as running:
        running.server.stop()
        running.server.stop()
    current = current_of()
    Server(ServerSettings(), current, Metrics(current, "")).stop()
