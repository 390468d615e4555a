"""Strangers at the gRPC port: nothing that they send is kept, and they hold up nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import hypothesis
import pytest
from cores import built
from flowing_peer import FlowingPeer
from given import denying
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from hostile import CHECK, LOBBY, MEGABYTE, Crowd, attacked, calls, message
from hypothesis import strategies as some
from security import client_of, clients_file
from server import DEADLINE, running_server
from waiting import until

from pdp.errors import InvalidCall
from pdp.services.methods import count_calls
from pdp.transports.choice import Transport
from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hostile import Target

    Watch = grpc.UnaryStreamMultiCallable[HealthCheckRequest, HealthCheckResponse]

STATUS, REACH, HEALTH, WATCH = (
    "/rightcall.v1.DirectoryService/GetStatus",
    "/rightcall.v1.DirectoryService/ListReach",
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
)
PATHS = (CHECK, f"{CHECK}s", STATUS, REACH, HEALTH, WATCH)
CALL = v1.CheckCallRequest(caller=LOBBY, extension="0900")
UNFINISHED = message(bytes(400_000), length=500_000)
HALF = message(b"abc", length=1000)
CALLS = 400
KEPT = 12 * MEGABYTE
"""What 400 calls hold that are open; their messages would be 160 MB, and those of one method 26 MB."""


@pytest.fixture(
    scope="module",
    params=[Transport.GRPCIO, pytest.param(Transport.CORE, marks=built)],
    ids=lambda transport: transport.value,
)
def transport(request: pytest.FixtureRequest) -> Transport:
    """What speaks gRPC."""
    chosen: Transport = request.param
    return chosen


@pytest.fixture(scope="module")
def guarded(transport: Transport, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A server that answers one client alone."""
    clients = clients_file(tmp_path_factory.mktemp("clients"), client_of("pbx", "token-of-pbx"))
    with attacked(transport, "--auth", "tokens", "--clients", clients) as target:
        yield target


@pytest.fixture(scope="module")
def unguarded(transport: Transport) -> Iterator[Target]:
    """A server that answers everybody."""
    with attacked(transport) as target:
        yield target


def health(address: str, service: str = "", **options: object) -> HealthCheckResponse:
    """The response to a health check over a connection of its own."""
    with grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1), *options.items()]) as channel:
        check = channel.unary_unary(
            HEALTH,
            request_serializer=HealthCheckRequest.SerializeToString,
            response_deserializer=HealthCheckResponse.FromString,
        )
        response: HealthCheckResponse = check(HealthCheckRequest(service=service), timeout=DEADLINE)
        return response


def test_bytes_of_those_who_may_not_ask_are_not_kept(guarded: Target) -> None:
    """Four hundred messages that are begun and not ended, on one connection, of every kind of method."""
    before = guarded.memory()
    with FlowingPeer(guarded.address) as peer:
        for number in range(CALLS):
            peer.begin(PATHS[number % len(PATHS)], UNFINISHED)
        assert guarded.memory() <= before + KEPT


def test_of_messages_that_do_not_end_few_bytes_are_taken(unguarded: Target) -> None:
    """Of those who may ask as well: those alone are read that a thread waits for."""
    before = unguarded.memory()
    with FlowingPeer(unguarded.address) as peer:
        for number in range(CALLS):
            peer.begin(PATHS[number % len(PATHS)], UNFINISHED)
        assert unguarded.memory() <= before + 2 * KEPT + 8 * len(UNFINISHED)


def test_messages_that_do_not_come_end_their_own_calls(unguarded: Target) -> None:
    """More of them than there are threads: a good client is answered."""
    with Crowd(unguarded.address) as crowd, grpc.insecure_channel(unguarded.address) as channel:
        check = v1.DecisionServiceStub(channel).CheckCall
        check(CALL, timeout=DEADLINE)
        crowd.join(source="127.0.0.9").send(calls(500, HALF, end=False))
        assert check(CALL, timeout=6 * DEADLINE).decision == v1.Decision.DECISION_DENY


def test_health_is_answered_while_strangers_hold_their_checks_open(guarded: Target) -> None:
    """Hundreds of checks from another address whose messages do not come."""
    with Crowd(guarded.address) as crowd:
        for _ in range(3):
            crowd.join(source="127.0.0.9").send(calls(200, HALF, path=HEALTH, end=False))
        assert health(guarded.address).status == HealthCheckResponse.SERVING


@pytest.mark.parametrize(
    ("method", "name", "code"),
    [
        (HEALTH, "rightcall.v1.NoService", grpc.StatusCode.NOT_FOUND),
        (WATCH, "rightcall.v1.NoService", grpc.StatusCode.NOT_FOUND),
        (HEALTH, "x" * 2000, grpc.StatusCode.RESOURCE_EXHAUSTED),
        (WATCH, "x" * 2000, grpc.StatusCode.RESOURCE_EXHAUSTED),
    ],
)
def test_names_that_are_unknown_or_long_are_rejected(
    guarded: Target, method: str, name: str, code: grpc.StatusCode
) -> None:
    """So nothing is remembered of them."""
    with grpc.insecure_channel(guarded.address) as channel:
        call: grpc.UnaryStreamMultiCallable[HealthCheckRequest, bytes] = channel.unary_stream(
            method, request_serializer=HealthCheckRequest.SerializeToString
        )
        with pytest.raises(grpc.RpcError) as ended:
            list(call(HealthCheckRequest(service=name), timeout=DEADLINE))
    assert ended.value.code() is code


def test_watches_of_one_address_are_bounded(transport: Transport) -> None:
    """Those beyond are rejected, and the first go on."""
    with running_server(denying("0900"), transport=transport) as running:
        watch: Watch = running.channel.unary_stream(
            WATCH,
            request_serializer=HealthCheckRequest.SerializeToString,
            response_deserializer=HealthCheckResponse.FromString,
        )
        watches = []
        for _ in range(128):
            watches.append(watch(HealthCheckRequest(), timeout=6 * DEADLINE))
            assert next(iter(watches[-1])).status == HealthCheckResponse.SERVING
        with pytest.raises(grpc.RpcError) as ended:
            next(iter(watch(HealthCheckRequest(), timeout=DEADLINE)))
        assert ended.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        watches[0].cancel()
        until(lambda: _watched(watch), "another one may watch")


def _watched(watch: Watch) -> bool:
    try:
        return next(iter(watch(HealthCheckRequest(), timeout=DEADLINE))).status == HealthCheckResponse.SERVING
    except grpc.RpcError:
        return False


def test_a_request_about_one_call_is_small(unguarded: Target) -> None:
    """Twenty thousand bytes are too many for it, and fine for a batch."""
    with grpc.insecure_channel(unguarded.address) as channel:
        stub = v1.DecisionServiceStub(channel)
        with pytest.raises(grpc.RpcError) as ended:
            stub.CheckCall(v1.CheckCallRequest(extension="1" * 20_000), timeout=DEADLINE)
        answers = stub.CheckCalls(v1.CheckCallsRequest(calls=[CALL] * 1000), timeout=DEADLINE).answers
    assert ended.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert len(answers) == 1000


def test_a_batch_of_empty_calls_is_rejected_before_it_is_unpacked(unguarded: Target) -> None:
    """A quarter of a million of them would be tens of megabytes."""
    unguarded.forget_peak()
    before = unguarded.peak()
    with grpc.insecure_channel(unguarded.address) as channel:
        send: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"{CHECK}s")
        with pytest.raises(grpc.RpcError) as ended:
            send(b"\x0a\x00" * 250_000, timeout=DEADLINE)
    assert ended.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert unguarded.peak() <= before + 8 * MEGABYTE


@hypothesis.given(some.lists(some.builds(v1.CheckCallRequest, caller=some.text(), extension=some.text()), max_size=20))
def test_calls_of_a_batch_are_counted_without_reading_it(batch: list[v1.CheckCallRequest]) -> None:
    """As many as protobuf finds."""
    data = v1.CheckCallsRequest(calls=batch).SerializeToString()
    assert count_calls(data, 20) == len(batch)


@hypothesis.given(some.binary(max_size=200))
def test_counting_never_finds_fewer_calls_than_protobuf(data: bytes) -> None:
    """In any bytes that protobuf takes."""
    try:
        batch = v1.CheckCallsRequest.FromString(data)
    except Exception:  # noqa: BLE001 - whichever error it has for them
        return
    try:
        assert count_calls(data, 1000) >= len(batch.calls)
    except InvalidCall:  # groups, which nobody sends
        assert any(byte & 7 in {3, 4} for byte in data)
