"""The native transport: what it does by its own ways, and what it refuses.

RIGHTCALL_TESTED_TRANSPORT=native lets the tests of the server run over it as well.
"""

from __future__ import annotations

import socket
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import grpc
import pytest
from given import ACME, ALICE, BOB, BOLT, KEY, denying
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from hypothesis import given, settings
from hypothesis import strategies as st
from server import DEADLINE, current_of, running_server, snapshot_of
from structlog.testing import capture_logs
from waiting import until

from pdp.app import Server, ServerSettings
from pdp.errors import CallError, ListenError, TransportError
from pdp.metrics.registry import Metrics
from pdp.rules.compiler.compiler import Compiler
from pdp.rules.model import CallPermission, Outcall, Revision, Tenant, User
from pdp.rules.snapshot.snapshot import decode
from pdp.runtime.cores import available_cores
from pdp.security.settings import Auth, SecuritySettings
from pdp.services.decisions import DecisionService
from pdp.services.fastpath import HotCalls
from pdp.transports.choice import Transport, choose_transport, fitting_workers
from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from server import Running

CALL = v1.CheckCallRequest(caller=ALICE, extension="0900")
CHECK = "/rightcall.v1.DecisionService/CheckCall"
DENY = v1.Decision.DECISION_DENY


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """A server with rules."""
    with running_server(denying("0900"), transport=Transport.NATIVE) as it:
        yield it


def two_ways(*tenants: Tenant) -> tuple[DecisionService, HotCalls, Metrics]:
    """The service, and the short way to the same answers."""
    current = current_of(*tenants)
    metrics = Metrics(current, "")
    decisions = DecisionService(current, metrics)
    hot = HotCalls(decisions, current, metrics.tallies, challenge=None, max_message_size=10_000, max_calls=100)
    return decisions, hot, metrics


def rich(uuid: str, user: str) -> Tenant:
    """A tenant with every kind of verdict."""
    permissions = (
        CallPermission(id=1, name="no", extensions=("_09.",), users=(user,)),
        CallPermission(id=2, name="", password="12", extensions=("_08.",), users=(user,)),
        CallPermission(id=2**60, name="é" * 200, extensions=("_07.",), outcalls=("3",)),
    )
    return Tenant(uuid, "", users=(User(user),), outcalls=(Outcall("3", "world"),), call_permissions=permissions)


TWO_WAYS = two_ways(rich(ACME, ALICE), rich(BOLT, BOB))
ONE_WAY = two_ways(rich(ACME, ALICE))
CALLS = st.builds(
    v1.CheckCallRequest,
    caller=st.sampled_from([ALICE, ALICE.upper(), BOB, "", "nobody", "0" * 36]),
    extension=st.sampled_from(["0900", "0800", "0700", "", "1" * 129, "\n", "é", "*98"]),
    outcall=st.sampled_from(["", "3", "4"]),
    tenant=st.sampled_from(["", ACME, BOLT.upper(), "unknown"]),
    at_least_revision=st.sampled_from([0, 0, 0, 1, 7]),
)


def outcome(answer: object) -> object:
    """What came of a question: a message, or a status with its text."""
    try:
        return answer()  # type: ignore[operator] # a function without arguments
    except CallError as error:
        return error.code, error.message


@given(CALLS, st.sampled_from([TWO_WAYS, ONE_WAY]))
def test_the_short_way_gives_the_answers_of_the_service(
    call: v1.CheckCallRequest, ways: tuple[DecisionService, HotCalls, Metrics]
) -> None:
    """With one tenant and with two; refusals too, word by word."""
    decisions, hot, _ = ways
    data = call.SerializeToString()

    shortly = outcome(lambda: v1.CheckCallResponse.FromString(hot.check_call()(data) or hot.check_call_waiting(data)))

    assert shortly == outcome(lambda: decisions.check_call(call))


@given(st.lists(CALLS, max_size=5), st.sampled_from([TWO_WAYS, ONE_WAY]))
def test_the_short_way_gives_many_answers_of_the_service(
    calls: list[v1.CheckCallRequest], ways: tuple[DecisionService, HotCalls, Metrics]
) -> None:
    """In their order, and with what is wrong with one of them in its place."""
    decisions, hot, _ = ways
    request = v1.CheckCallsRequest(calls=calls)

    assert v1.CheckCallsResponse.FromString(hot.answer_calls(request.SerializeToString())) == decisions.check_calls(
        request
    )


@settings(max_examples=300)
@given(st.binary(max_size=80))
def test_any_bytes_are_a_request_or_refused(data: bytes) -> None:
    """No other error."""
    _, hot, _ = TWO_WAYS
    for ask in (lambda: hot.check_call()(data), lambda: hot.answer_calls(data)):
        outcome(ask)


def test_an_edit_counts_at_once_and_remembered_responses_go() -> None:
    """The same question, before and after."""
    decisions, hot, _ = two_ways(denying("0900"))
    current = hot._current
    check = hot.check_call()
    before = v1.CheckCallResponse.FromString(check(CALL.SerializeToString()) or b"")
    current.replace(decode(Compiler().compile(denying("0901"), Revision(2, "cd" * 32), compiled_at=1.5e9)))
    after = v1.CheckCallResponse.FromString(check(CALL.SerializeToString()) or b"")

    assert (before.decision, before.revision[0]) == (DENY, "1")
    assert after == decisions.check_call(CALL)
    assert (after.decision, after.revision[0]) == (v1.Decision.DECISION_ALLOW, "2")


def test_many_questions_are_counted_as_so_many_decisions() -> None:
    """Each with a place in the histogram."""
    _, hot, metrics = two_ways(denying("0900"))
    hot.answer_calls(v1.CheckCallsRequest(calls=[CALL] * 7).SerializeToString())
    value = metrics.registry.get_sample_value

    assert value("rightcall_decisions_total", {"decision": "deny", "stage": "user"}) == 7
    assert value("rightcall_check_duration_seconds_count") == 7


def test_challenges_are_new_each_time_and_answered_behind_the_front() -> None:
    """They stand behind the answer that is remembered; AnswerChallenge goes through to grpcio."""
    tenant = denying("0900", password="1234")
    blob = Compiler(secret=KEY).compile(tenant, Revision(1, "ab" * 32), compiled_at=1.5e9)
    with running_server(decode(blob), secrets=[KEY], transport=Transport.NATIVE) as running:
        one, other = (running.decisions.CheckCall(CALL, timeout=DEADLINE) for _ in range(2))
        free = v1.CheckCallRequest(caller=CALL.caller, extension="112")
        many = running.decisions.CheckCalls(v1.CheckCallsRequest(calls=[CALL, free, CALL]), timeout=DEADLINE)
        third, allowed, fourth = (answer.response for answer in many.answers)
        opened = [
            running.decisions.AnswerChallenge(
                v1.AnswerChallengeRequest(challenge=response.challenge, password="1234"), timeout=DEADLINE
            ).decision
            for response in (one, other, third, fourth)
        ]

    assert len({response.challenge for response in (one, other, third, fourth)}) == 4
    assert (allowed.decision, allowed.challenge) == (v1.Decision.DECISION_ALLOW, "")
    assert {third.decision, fourth.decision} == {one.decision} == {v1.Decision.DECISION_CHALLENGE}
    assert opened == [v1.Decision.DECISION_ALLOW] * 4


def test_health_and_streams_go_through_the_front(running: Running) -> None:
    """Whatever it does not serve itself."""
    check = running.channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=HealthCheckRequest.SerializeToString,
        response_deserializer=HealthCheckResponse.FromString,
    )
    requests = [v1.StreamCheckCallsRequest(id=str(number), call=CALL) for number in range(3)]
    answers = list(running.decisions.StreamCheckCalls(iter(requests), timeout=DEADLINE))

    assert check(HealthCheckRequest(), timeout=DEADLINE).status == HealthCheckResponse.SERVING
    assert [answer.id for answer in answers] == ["0", "1", "2"]


@pytest.mark.parametrize("transport", [Transport.NATIVE, Transport.GRPCIO])
def test_each_request_is_counted_once_with_its_time(transport: Transport) -> None:
    """The plain ones, those that ask for a revision or for many decisions, and those that are refused."""
    check = v1.CheckCallRequest
    newer = check(caller=ALICE, extension="0900", at_least_revision=1)
    with running_server(denying("0900"), transport=transport) as running:
        for call in (CALL, check(caller=ALICE, extension="1"), newer):
            running.decisions.CheckCall(call, timeout=DEADLINE)
        running.decisions.CheckCalls(v1.CheckCallsRequest(calls=[CALL] * 3), timeout=DEADLINE)
        with pytest.raises(grpc.RpcError):
            running.decisions.CheckCall(check(extension=""), timeout=DEADLINE)

    value = running.metrics.registry.get_sample_value
    requests, times = "rightcall_grpc_requests_total", "rightcall_grpc_request_duration_seconds_count"
    assert value(requests, {"method": "CheckCall", "code": "OK"}) == 3
    assert value(requests, {"method": "CheckCall", "code": "INVALID_ARGUMENT"}) == 1
    assert value(requests, {"method": "CheckCalls", "code": "OK"}) == 1
    assert [value(times, {"method": method}) for method in ("CheckCall", "CheckCalls")] == [4, 1]
    assert value("rightcall_check_duration_seconds_count") == 6


def test_a_stop_answers_the_calls_that_have_come(running: Running) -> None:
    """Clients that fire without a pause see answers, then UNAVAILABLE, and nothing else."""
    ends: list[grpc.StatusCode] = []
    busy = threading.Barrier(9)

    def fire(address: str) -> None:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
        with grpc.insecure_channel(address, options) as channel:
            stub = v1.DecisionServiceStub(channel)
            stub.CheckCall(CALL, timeout=DEADLINE)
            busy.wait(DEADLINE)
            try:
                while True:
                    stub.CheckCall(CALL, timeout=DEADLINE)
            except grpc.RpcError as error:
                ends.append(error.code())

    with (
        running_server(denying("0900"), transport=Transport.NATIVE) as stopped,
        ThreadPoolExecutor(8) as clients,
    ):
        flights = [clients.submit(fire, stopped.server.address) for _ in range(8)]
        busy.wait(DEADLINE)
        stopped.server.stop()
        for flight in flights:
            flight.result(DEADLINE)

    assert ends == [grpc.StatusCode.UNAVAILABLE] * 8
    assert running.decisions.CheckCall(CALL, timeout=DEADLINE).decision == DENY


def test_a_question_that_waits_for_rules_holds_no_other_up() -> None:
    """It waits beside the thread that answers the others."""
    with running_server(denying("0900"), transport=Transport.NATIVE, freshness_wait=5.0) as running:
        behind = v1.CheckCallRequest(caller=ALICE, extension="0900", at_least_revision=2)
        waiting = running.decisions.CheckCall.future(behind, timeout=DEADLINE)
        answers = [running.decisions.CheckCall(CALL, timeout=DEADLINE).decision for _ in range(20)]
        still_waiting = not waiting.done()
        running.current.replace(snapshot_of(denying("0900"), number=2))
        answer = waiting.result()

    assert answers == [DENY] * 20
    assert still_waiting
    assert answer.revision[0] == "2"


def make_settings(listen: str = "127.0.0.1:0", **security: object) -> ServerSettings:
    """Settings with a choice about who may ask."""
    return ServerSettings(
        listen=listen,
        http="",
        security=SecuritySettings(**{"auth": Auth.NONE, **security}),  # type: ignore[arg-type] # a test's own
    )


@pytest.fixture
def no_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is where there was no Rust compiler."""
    monkeypatch.setattr("pdp.transports.choice.core_is_built", lambda: False)


@pytest.mark.usefixtures("no_core")
def test_auto_is_native_only_where_nobody_else_can_reach_it_and_nothing_is_lacking() -> None:
    """Everything else is grpcio's, where there is no core."""

    def chosen(settings: ServerSettings, *, decision_log: bool = False) -> Transport:
        return choose_transport(Transport.AUTO, settings, decision_log=decision_log)

    assert chosen(make_settings()) is Transport.NATIVE
    assert chosen(make_settings("unix:/run/rightcall.sock")) is Transport.NATIVE
    assert chosen(make_settings("0.0.0.0:50051")) is Transport.GRPCIO
    assert chosen(make_settings(), decision_log=True) is Transport.GRPCIO
    assert chosen(make_settings(tls_certificate="a.pem")) is Transport.GRPCIO
    assert chosen(ServerSettings(max_connection_age=60)) is Transport.GRPCIO


@pytest.mark.usefixtures("no_core")
def test_where_nobody_says_there_are_as_many_workers_as_cores_or_as_can_be() -> None:
    """Several only where they can share an address and nothing else that was asked for stands against it."""

    def workers(settings: ServerSettings, wanted: Transport = Transport.AUTO, **asked: bool) -> int:
        return fitting_workers(wanted, settings, **{"decision_log": False, **asked})

    assert workers(make_settings()) == workers(make_settings(), Transport.NATIVE) == available_cores()
    assert workers(make_settings("0.0.0.0:50051"), Transport.NATIVE) == available_cores()
    assert workers(make_settings("0.0.0.0:50051")) == 1
    assert workers(make_settings(), Transport.GRPCIO) == 1
    assert workers(make_settings("unix:/run/rightcall.sock")) == 1
    assert workers(make_settings("nowhere")) == 1
    assert workers(make_settings(), decision_log=True) == workers(make_settings(), tracing=True) == 1
    assert workers(make_settings(tls_certificate="a.pem")) == 1


@pytest.mark.parametrize(
    ("option", "settings"),
    [
        ("--tls-certificate", make_settings(tls_certificate="a.pem")),
        ("--auth tokens", make_settings(auth=Auth.TOKENS)),
        ("--client-rate", make_settings(client_rate=5.0)),
        ("--max-connection-age", ServerSettings(max_connection_age=1)),
        ("--max-connection-idle", ServerSettings(max_connection_idle=1)),
        ("--max-connections", ServerSettings(max_connections=1)),
    ],
)
def test_what_native_lacks_is_refused_by_name(option: str, settings: ServerSettings) -> None:
    """Never ignored."""
    with pytest.raises(TransportError, match=option):
        choose_transport(Transport.NATIVE, settings, decision_log=False)


def test_native_where_others_can_reach_it_is_warned_of() -> None:
    """It was asked for by name, so it is had."""
    with capture_logs() as logs:
        chosen = choose_transport(Transport.NATIVE, make_settings("0.0.0.0:50051"), decision_log=False)

    assert chosen is Transport.NATIVE
    assert [entry["event"] for entry in logs] == ["native_transport_exposed"]


def test_an_address_in_use_is_a_clear_error(running: Running, tmp_path: Path) -> None:
    """A port and a socket file alike; one that a dead server left is no obstacle."""
    current = current_of(denying("0900"))

    def make_server(listen: str) -> Server:
        return Server(make_settings(listen), current, Metrics(current, ""), transport=Transport.NATIVE)

    for listen in (running.server.address, "127.0.0.1:70000", "192.0.2.1:0"):
        with pytest.raises(ListenError):
            make_server(listen).start()
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with make_server(f"unix:{path}") as server, grpc.insecure_channel(server.address) as channel:
        assert v1.DecisionServiceStub(channel).CheckCall(CALL, timeout=DEADLINE).decision == DENY
        with pytest.raises(ListenError, match="choose another path"):
            make_server(f"unix:{path}").start()


def test_hostile_peers_leave_good_ones_alone(running: Running) -> None:
    """Random bytes, a header that promises a message and ends, connections that never say anything."""
    host, _, port = running.server.address.rpartition(":")
    peers = [socket.create_connection((host, int(port)), timeout=DEADLINE) for _ in range(50)]
    try:
        for number, peer in enumerate(peers[:40]):
            peer.sendall(
                bytes([number]) * 100 if number % 2 else b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + struct.pack(">I", 7)
            )
        until(lambda: running.decisions.CheckCall(CALL, timeout=DEADLINE).decision == DENY, "a good client is answered")
    finally:
        for peer in peers:
            peer.close()
