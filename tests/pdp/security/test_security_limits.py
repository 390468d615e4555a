"""How much a client may ask, and what happens when all of them together ask too much."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from given import ALICE, denying
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from hypothesis import given as hypothesis_given
from hypothesis import strategies as st
from security import bearer, check, client_of, clients_file
from server import DEADLINE, current_of, running_server
from waiting import until

from pdp.errors import TooManyCalls
from pdp.security.limits import Limits
from pdp.security.settings import Auth, SecuritySettings
from pdp.snapshots.current import CurrentSnapshots
from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from pdp.rules.snapshot.snapshot import Snapshot
    from pdp.snapshots.current import LoadedSnapshot

pytestmark = pytest.mark.every_transport

CALL = v1.CheckCallRequest(caller=ALICE, extension="0900")
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


class Clock:
    """Time that passes when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


def test_a_bucket_holds_its_burst_and_fills_at_its_rate() -> None:
    """No more than that, and it says when to come back."""
    clock = Clock()
    limits = Limits(rate=2, burst=3, concurrency=0, clock=clock)
    for _ in range(3):
        limits.enter("a")
    with pytest.raises(TooManyCalls) as refused:
        limits.enter("a")
    assert refused.value.retry_after == 0.5
    limits.enter("b")
    clock.now = 0.5
    limits.enter("a")
    with pytest.raises(TooManyCalls):
        limits.enter("a")


def test_a_batch_costs_as_much_as_its_questions() -> None:
    """It is answered, and paid for afterwards."""
    clock = Clock()
    limits = Limits(rate=10, burst=10, concurrency=0, clock=clock)
    limits.enter("a", cost=110)
    with pytest.raises(TooManyCalls) as refused:
        limits.enter("a")
    assert refused.value.retry_after == pytest.approx(10.1)
    clock.now = 10.2
    limits.enter("a")


def test_calls_at_a_time_are_limited_until_they_end() -> None:
    """Each client for itself."""
    limits = Limits(rate=0, burst=0, concurrency=2)
    limits.enter("a")
    limits.enter("a")
    limits.enter("b")
    with pytest.raises(TooManyCalls, match="concurrency"):
        limits.enter("a")
    limits.leave("a")
    limits.enter("a")


@hypothesis_given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 20)), max_size=60))
def test_no_client_ever_gets_more_than_burst_and_rate_allow(calls: list[tuple[int, int]]) -> None:
    """Beyond them, it owes no more than one batch."""
    clock = Clock()
    limits = Limits(rate=5, burst=10, concurrency=0, clock=clock)
    taken = largest = 0
    for pause, cost in calls:
        clock.now += pause / 10
        try:
            limits.enter("a", cost)
        except TooManyCalls:
            continue
        taken, largest = taken + cost, max(largest, cost)
    assert taken <= 10 + 5 * clock.now + largest


def test_clients_without_end_do_not_fill_the_memory() -> None:
    """Those who are quiet are forgotten, those with calls under way are not."""
    limits = Limits(rate=1, burst=1, concurrency=1)
    limits.enter("busy")
    for number in range(25_000):
        limits.enter(str(number))
        limits.leave(str(number))

    assert len(limits._clients) <= 10_000
    with pytest.raises(TooManyCalls):
        limits.enter("busy")


def test_a_client_that_asks_too_much_is_told_when_to_come_back(tmp_path: Path) -> None:
    """In a form that gRPC clients know; another client does not notice."""
    clients = clients_file(tmp_path, client_of("loud", "token-loud"), client_of("calm", "token-calm"))
    security = SecuritySettings(auth=Auth.TOKENS, clients=clients, client_rate=0.01, client_burst=2)
    with running_server(denying("0900"), security=security) as running:
        check(running, "token-loud")
        check(running, "token-loud")
        with pytest.raises(grpc.RpcError) as refused:
            check(running, "token-loud")
        check(running, "token-calm")
        counted = running.metrics.registry.get_sample_value("rightcall_rejected_total", {"reason": "rate"})

    trailing: dict[str, Any] = dict(refused.value.trailing_metadata() or ())  # type: ignore[arg-type] # pairs
    assert refused.value.code() is EXHAUSTED
    assert 90_000 < int(trailing["retry-after-ms"]) <= 100_000
    assert b"type.googleapis.com/google.rpc.RetryInfo" in trailing["grpc-status-details-bin"]
    assert counted == 1


def test_retry_info_is_what_googles_own_classes_read() -> None:
    """Field by field, by a descriptor written down here."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # noqa: PLC0415 - for this alone

    from pdp.transports.retry_info import retry_metadata  # noqa: PLC0415 - likewise

    file = descriptor_pb2.FileDescriptorProto(name="status.proto", package="test", syntax="proto3")
    file.dependency.extend(["google/protobuf/any.proto", "google/protobuf/duration.proto"])
    kind = descriptor_pb2.FieldDescriptorProto
    status = file.message_type.add(name="Status")
    status.field.add(name="code", number=1, type=kind.TYPE_INT32, label=kind.LABEL_OPTIONAL)
    status.field.add(name="message", number=2, type=kind.TYPE_STRING, label=kind.LABEL_OPTIONAL)
    any_type = {"type": kind.TYPE_MESSAGE, "type_name": ".google.protobuf.Any"}
    status.field.add(name="details", number=3, label=kind.LABEL_REPEATED, **any_type)
    info = file.message_type.add(name="RetryInfo")
    delay = {"type": kind.TYPE_MESSAGE, "type_name": ".google.protobuf.Duration"}
    info.field.add(name="retry_delay", number=1, label=kind.LABEL_OPTIONAL, **delay)
    pool = descriptor_pool.Default()
    pool.Add(file)
    read = {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"test.{name}"))
        for name in ("Status", "RetryInfo")
    }

    for reason, seconds in (("rate", 0.0015), ("overload", 12345.678)):
        error = TooManyCalls(reason, seconds)
        sent = dict(retry_metadata(error))["grpc-status-details-bin"]
        assert isinstance(sent, bytes)
        got = read["Status"].FromString(sent)
        told = read["RetryInfo"].FromString(got.details[0].value)  # type: ignore[attr-defined] # made above
        assert (got.code, got.message) == (8, error.message)  # type: ignore[attr-defined] # made above
        assert told.retry_delay.ToMilliseconds() == -(-seconds * 1000 // 1)  # type: ignore[attr-defined] # made above


def test_a_stream_is_slowed_down_rather_than_refused(tmp_path: Path) -> None:
    """Every question gets its answer, as fast as the client may ask."""
    clients = clients_file(tmp_path, client_of("a", "token"))
    security = SecuritySettings(auth=Auth.TOKENS, clients=clients, client_rate=100, client_burst=5)
    with running_server(denying("0900"), security=security) as running:
        questions = (v1.StreamCheckCallsRequest(id=str(number), call=CALL) for number in range(40))
        answers = list(running.decisions.StreamCheckCalls(questions, metadata=bearer("token"), timeout=DEADLINE))

    assert [answer.id for answer in answers] == [str(number) for number in range(40)]
    assert all(answer.response.decision == v1.Decision.DECISION_DENY for answer in answers)


def test_without_authentication_an_address_is_a_client() -> None:
    """So that limits hold where nobody is known by name."""
    with running_server(denying("0900"), security=SecuritySettings(client_rate=0.01, client_burst=1)) as running:
        check(running)
        with grpc.insecure_channel(running.server.address) as other, pytest.raises(grpc.RpcError) as refused:
            v1.DecisionServiceStub(other).CheckCall(CALL, timeout=DEADLINE)

    assert refused.value.code() is EXHAUSTED


class Slow(CurrentSnapshots):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__("tests")
        self.replace(current_of(denying("0900")).held()[0].snapshot)
        self.asked = threading.Semaphore(0)
        self.go = threading.Event()
        self.decided = 0

    def on_change(self, callback: Callable[[Mapping[str, LoadedSnapshot], Iterable[str], str], None]) -> None:
        """Nobody else decides either."""
        callback({}, (), "")

    def resolve(self, caller: str, outcall: str, tenant: str) -> Snapshot | None:
        """Waits."""
        self.asked.release()
        self.go.wait(DEADLINE)
        self.decided += 1
        return super().resolve(caller, outcall, tenant)


def test_one_client_cannot_have_all_the_threads(tmp_path: Path) -> None:
    """Others are answered while its calls take their time."""
    clients = clients_file(tmp_path, client_of("a", "token-a"), client_of("b", "token-b"))
    security = SecuritySettings(auth=Auth.TOKENS, clients=clients, client_concurrency=1)
    slow = Slow()
    with running_server(current=slow, security=security, threads=3) as running:
        first = running.decisions.CheckCall.future(CALL, metadata=bearer("token-a"), timeout=DEADLINE)
        assert slow.asked.acquire(timeout=DEADLINE)
        with pytest.raises(grpc.RpcError) as refused:
            check(running, "token-a")
        other = running.decisions.CheckCall.future(CALL, metadata=bearer("token-b"), timeout=DEADLINE)
        assert slow.asked.acquire(timeout=DEADLINE)
        slow.go.set()

        assert refused.value.code() is EXHAUSTED
        assert [one.result().decision for one in (first, other)] == [v1.Decision.DECISION_DENY] * 2
        assert check(running, "token-a").decision == v1.Decision.DECISION_ALLOW


def test_an_overloaded_server_refuses_what_would_wait_too_long_and_says_so() -> None:
    """Those who wait are answered, and health tells the truth: it still serves."""
    slow = Slow()
    with running_server(current=slow, threads=1, max_waiting=3) as running:
        calls = [running.decisions.CheckCall.future(CALL, timeout=DEADLINE) for _ in range(20)]

        def counted() -> float:
            return running.metrics.registry.get_sample_value("rightcall_rejected_total", {"reason": "overload"}) or 0

        until(lambda: counted() == 16, "all but those that wait are refused")
        slow.go.set()
        codes = [call.code() for call in calls]
        health = running.channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=HealthCheckRequest.SerializeToString,
            response_deserializer=HealthCheckResponse.FromString,
        )
        assert health(HealthCheckRequest(), timeout=DEADLINE).status == HealthCheckResponse.SERVING

    assert (codes.count(grpc.StatusCode.OK), codes.count(EXHAUSTED)) == (4, 16)
    late = next(call for call in calls if call.code() is EXHAUSTED)
    assert dict(late.trailing_metadata())["retry-after-ms"] == "250"


def test_a_call_that_nobody_waits_for_any_more_is_not_decided() -> None:
    """Its deadline passed while it was waiting for a thread."""
    slow = Slow()
    with running_server(current=slow, threads=1) as running:
        first = running.decisions.CheckCall.future(CALL, timeout=DEADLINE)
        assert slow.asked.acquire(timeout=DEADLINE)
        with pytest.raises(grpc.RpcError) as late:
            running.decisions.CheckCall(CALL, timeout=0.2)
        slow.go.set()
        first.result()
        running.decisions.CheckCall(CALL, timeout=DEADLINE)

    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert slow.decided == 2


def test_headers_beyond_the_limit_are_refused() -> None:
    """And the next call is answered."""
    with running_server(denying("0900"), max_metadata_size=4096) as running:
        with pytest.raises(grpc.RpcError) as refused:
            running.decisions.CheckCall(CALL, metadata=(("padding", "x" * 5000),), timeout=DEADLINE)
        answer = running.decisions.CheckCall(CALL, metadata=(("padding", "x" * 2000),), timeout=DEADLINE)

    assert refused.value.code() is EXHAUSTED
    assert answer.decision == v1.Decision.DECISION_DENY


def test_connections_beyond_the_limit_are_closed() -> None:
    """Those that are open go on."""
    with running_server(denying("0900"), max_connections=1) as running:
        running.decisions.CheckCall(CALL, timeout=DEADLINE)
        options = (("grpc.use_local_subchannel_pool", 1),)
        with grpc.insecure_channel(running.server.address, options) as other, pytest.raises(grpc.RpcError) as refused:
            v1.DecisionServiceStub(other).CheckCall(CALL, timeout=DEADLINE)
        answer = running.decisions.CheckCall(CALL, timeout=DEADLINE)

    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert answer.decision == v1.Decision.DECISION_DENY
