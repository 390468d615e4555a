"""The gRPC server: bad bytes, statuses, health, reflection, addresses and limits."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from cores import EACH_TRANSPORT
from given import ACME, ALICE, denying
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from load.http2 import Connection
from load.paced import CHECK_CALL
from server import DEADLINE, current_of, running_server
from structlog.testing import capture_logs

from pdp.app import Server, ServerSettings
from pdp.errors import ListenError
from pdp.metrics.registry import Metrics
from pdp.security.settings import Auth, SecuritySettings
from pdp.snapshots.current import CurrentSnapshots
from pdp.transports.choice import Transport
from rightcall import Client, Decision, v1

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from server import Running

    from pdp.rules.snapshot.snapshot import Snapshot

pytestmark = pytest.mark.every_transport

CALL = v1.CheckCallRequest(caller=ALICE, extension="0900")
CHECK = "/rightcall.v1.DecisionService/CheckCall"
SERVICES = ("", *(f"rightcall.v1.{name}Service" for name in ("Decision", "Directory", "Lockout")))
REFLECTIONS = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")
SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING


@pytest.fixture(scope="module")
def running(tested_transport: Transport) -> Iterator[Running]:
    """A server with rules."""
    with running_server(denying("0900"), transport=tested_transport) as it:
        yield it


def health(running: Running, service: str = "") -> int:
    """What a health check says."""
    check = running.channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=HealthCheckRequest.SerializeToString,
        response_deserializer=HealthCheckResponse.FromString,
    )
    return check(HealthCheckRequest(service=service), timeout=DEADLINE).status


@pytest.mark.parametrize("data", [b"\xff\xff\xff", b"\x0a\x02\xc3\x28", b"GET / HTTP/1.1\r\n\r\n"])
@pytest.mark.parametrize("method", [CHECK, "/rightcall.v1.DirectoryService/GetStatus"])
def test_bytes_that_are_no_request_are_an_invalid_argument(running: Running, method: str, data: bytes) -> None:
    """Garbage, text that is no UTF-8, another protocol; the log has better things to tell."""
    send: grpc.UnaryUnaryMultiCallable[bytes, bytes] = running.channel.unary_unary(method)
    with capture_logs() as logs, pytest.raises(grpc.RpcError) as refused:
        send(data, timeout=DEADLINE)

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "rightcall.v1." in (refused.value.details() or "")
    assert logs == []


def test_a_method_that_does_not_exist_is_unimplemented(running: Running) -> None:
    """Of a service that does."""
    guess: grpc.UnaryUnaryMultiCallable[bytes, bytes] = running.channel.unary_unary(CHECK.replace("Check", "Guess"))
    with pytest.raises(grpc.RpcError) as refused:
        guess(b"", timeout=DEADLINE)

    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


class Broken(CurrentSnapshots):
    """Cannot be asked."""

    def resolve(self, caller: str, outcall: str, tenant: str) -> Snapshot | None:
        """Never."""
        raise RuntimeError(f"secret of {caller}{outcall}{tenant}")


@pytest.mark.parametrize("compression", [grpc.Compression.Deflate, grpc.Compression.Gzip])
def test_compressed_requests_are_answered(running: Running, compression: grpc.Compression) -> None:
    """With each way that gRPC names."""
    answered = running.decisions.CheckCall(CALL, compression=compression, timeout=DEADLINE)
    assert answered.decision == v1.Decision.DECISION_DENY


def test_headers_beyond_the_limit_are_refused_as_such(running: Running) -> None:
    """20 kB of them, and the connection serves on."""
    with pytest.raises(grpc.RpcError) as refused:
        running.decisions.CheckCall(CALL, metadata=(("x-long", "x" * 20_000),), timeout=DEADLINE)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert running.decisions.CheckCall(CALL, timeout=DEADLINE).decision == v1.Decision.DECISION_DENY


def test_a_mistake_of_ours_is_internal_and_tells_the_log_alone() -> None:
    """Whoever asked learns nothing; the log gets the traceback."""
    with running_server(current=Broken("tests")) as running, capture_logs() as logs:
        with pytest.raises(grpc.RpcError) as refused:
            running.decisions.CheckCall(CALL, timeout=DEADLINE)
        counted = running.metrics.registry.get_sample_value(
            "rightcall_grpc_requests_total", {"method": "CheckCall", "code": "INTERNAL"}
        )

    assert refused.value.code() is grpc.StatusCode.INTERNAL
    assert refused.value.details() == "internal error"
    failure = next(entry for entry in logs if entry["event"] == "call_failed")
    assert (failure["method"], failure["exc_info"]) == ("CheckCall", True)
    assert counted == 1


def test_a_message_beyond_the_limit_is_refused() -> None:
    """And the next one is answered."""
    with running_server(denying("0900"), max_message_size=1000) as running:
        with pytest.raises(grpc.RpcError) as refused:
            running.decisions.CheckCall(v1.CheckCallRequest(extension="1", caller="x" * 1000), timeout=DEADLINE)
        answer = running.decisions.CheckCall(CALL, timeout=DEADLINE)

    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert answer.decision == v1.Decision.DECISION_DENY


def test_health_follows_whether_there_are_rules() -> None:
    """For the server and for each service."""
    rules = current_of(denying("0900")).held()[0].snapshot
    with running_server() as running:
        before = [health(running, service) for service in SERVICES]
        running.current.replace(rules)
        during = [health(running, service) for service in SERVICES]
        running.current.remove(ACME)
        after = [health(running, service) for service in SERVICES]

    assert (before, during, after) == ([NOT_SERVING] * 4, [SERVING] * 4, [NOT_SERVING] * 4)


def test_the_health_of_an_unknown_service_is_not_found(running: Running) -> None:
    """As the protocol says."""
    with pytest.raises(grpc.RpcError) as refused:
        health(running, "rightcall.v1.Nothing")

    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


def test_reflection_tells_the_services(running: Running) -> None:
    """Tools such as grpcurl need no protos."""
    database = ProtoReflectionDescriptorDatabase(running.channel)

    found = database.get_services()
    described = database.FindFileContainingSymbol("rightcall.v1.DecisionService")

    assert {*SERVICES[1:], "grpc.health.v1.Health", *REFLECTIONS} == set(found)
    assert described.package == "rightcall.v1"


@pytest.mark.parametrize("symbol", ["rightcall.v1.CheckCallRequest", "rightcall.v1.DecisionService.CheckCall"])
def test_reflection_finds_what_tools_ask_for(running: Running, symbol: str) -> None:
    """Among them ghz, which asks for the file of the method that it shall call."""
    database = ProtoReflectionDescriptorDatabase(running.channel)

    assert database.FindFileContainingSymbol(symbol).package == "rightcall.v1"


@pytest.mark.parametrize("symbol", ["rightcall.v1.DecisionService.NoCall", "rightcall.v2.DecisionService", "x", ""])
def test_reflection_finds_nothing_that_is_not_there(running: Running, symbol: str) -> None:
    """It answers, and goes on answering."""
    database = ProtoReflectionDescriptorDatabase(running.channel)

    with pytest.raises(KeyError):
        database.FindFileContainingSymbol(symbol)
    assert database.get_services()


def make_server(**settings: str) -> Server:
    """A server that nobody has started."""
    current = current_of(denying("0900"))
    chosen = {"listen": "127.0.0.1:0", "http": "127.0.0.1:0", **settings}
    security = SecuritySettings(auth=Auth.NONE)
    said = ServerSettings(listen=chosen["listen"], http=chosen["http"], security=security)
    return Server(said, current, Metrics(current, ""))


def test_a_grpc_port_in_use_is_a_clear_error_and_leaves_nothing_running(running: Running) -> None:
    """It names the address and what to do, and the HTTP port is free again."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        http = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(ListenError, match="listens there already; stop it, or choose another port") as refused:
        make_server(listen=running.server.address, http=http).start()

    assert running.server.address in str(refused.value)
    with make_server(http=http) as second:
        assert second.http_address == http


def test_an_http_port_in_use_is_a_clear_error(running: Running) -> None:
    """Likewise."""
    with pytest.raises(ListenError, match="listens there already"):
        make_server(http=running.server.http_address).start()


@pytest.mark.parametrize(
    "address", ["", "here", "1.2.3.4", "127.0.0.1:http", "127.0.0.1:65536", "127.0.0.1:-1", "::1:50051", "127.0.0.1:²"]
)
@pytest.mark.parametrize("option", ["listen", "http"])
def test_what_is_no_address_is_a_clear_error(option: str, address: str) -> None:
    """It says how one is written; no HTTP address at all means no HTTP."""
    if (option, address) == ("http", ""):
        with make_server(http="") as server:
            assert server.http_address == ""
        return
    with pytest.raises(ListenError, match=r"no HOST:PORT; write for instance 127\.0\.0\.1:50051"):
        make_server(**{option: address}).start()


@pytest.mark.parametrize("option", ["listen", "http"])
def test_an_address_of_another_machine_is_a_clear_error(option: str) -> None:
    """So is a name that nobody knows."""
    with pytest.raises(ListenError, match="no such address"):
        make_server(**{option: "192.0.2.1:45678"}).start()
    with pytest.raises(ListenError, match="host name"):
        make_server(**{option: "nowhere.invalid:45678"}).start()


def test_all_of_a_machines_addresses_can_be_listened_on() -> None:
    """An empty host means them all, and the address told is one that works here."""
    with make_server(listen=":0", http=":0") as server, grpc.insecure_channel(server.address) as channel:
        answer = v1.DecisionServiceStub(channel).CheckCall(CALL, timeout=DEADLINE)
        with urllib.request.urlopen(f"http://{server.http_address}/healthz", timeout=DEADLINE) as alive:
            assert alive.status == 200

    assert answer.decision == v1.Decision.DECISION_DENY


def test_a_unix_socket_works_and_is_not_taken_from_a_server_that_runs(tmp_path: Path) -> None:
    """A socket file that a dead server left is no obstacle."""
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with make_server(listen=f"unix:{path}") as server, grpc.insecure_channel(server.address) as channel:
        answer = v1.DecisionServiceStub(channel).CheckCall(CALL, timeout=DEADLINE)
        with pytest.raises(ListenError, match="choose another path"):
            make_server(listen=f"unix:{path}").start()

    assert answer.decision == v1.Decision.DECISION_DENY


def test_connections_that_reach_their_age_are_replaced_without_losing_a_call() -> None:
    """So that new replicas get their share; the client sees nothing of it."""
    with running_server(
        denying("0900"), max_connection_age=0.05, max_connection_age_grace=5, transport=Transport.GRPCIO
    ) as running:
        answers = {running.decisions.CheckCall(CALL, timeout=DEADLINE).decision for _ in range(500)}

    assert answers == {v1.Decision.DECISION_DENY}


def test_a_connection_has_a_limit_of_calls_unless_somebody_takes_it_away() -> None:
    """A server that cannot keep up would take them all in, until its memory is full."""
    unlimited: dict[str, Any] = {"max_concurrent_streams": 0}
    most = []
    for given in ({}, unlimited):
        with running_server(denying("0900"), **given) as running:
            host, _, port = running.server.address.rpartition(":")
            connection = Connection(host, int(port), CHECK_CALL)
            connection.close()
        most.append(connection.most)

    assert most == [1000, 2**31 - 1]


def test_more_calls_than_a_connection_may_have_are_all_answered() -> None:
    """They wait in the client; one that gRPC's core refuses, because an answered one is not freed, is sent again."""
    with (
        running_server(denying("0900"), max_concurrent_streams=2, threads=1) as running,
        ThreadPoolExecutor(50) as people,
        Client(running.server.address, timeout=DEADLINE) as client,
    ):
        calls = [people.submit(client.check, caller=ALICE, extension="0900") for _ in range(50)]
        decisions = {call.result().decision for call in calls}

    assert decisions == {Decision.DENY}


@pytest.mark.parametrize("transport", EACH_TRANSPORT)
def test_a_unix_socket_has_the_permissions_that_were_asked_for(tmp_path: Path, transport: Transport) -> None:
    """So programs of another user of its group may connect."""
    path = tmp_path / "socket"
    with running_server(denying("0900"), listen=f"unix:{path}", listen_mode="0660", transport=transport) as running:
        answer = running.decisions.CheckCall(CALL, timeout=DEADLINE)
        mode = path.stat().st_mode & 0o777

    assert answer.decision == v1.Decision.DECISION_DENY
    assert mode == 0o660
