"""The core transport: what it does by its own ways. The mark ``every_transport`` runs the server's tests over it."""

from __future__ import annotations

import re
import socket
import time
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from cores import ALONE, CALL, DENY, built, entries, in_python, logged, served, value
from cryptography.hazmat.primitives.serialization import Encoding
from given import ACME, ALICE, BOB, BOLT, denying
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub
from hostile import ACKNOWLEDGED, END_HEADERS, END_STREAM, GREETING, Kind, message, number, opened
from load.http2 import frame
from pki import Authority
from security import bearer, check, client_of, clients_file, refusal
from server import DEADLINE, running_server, snapshot_of
from structlog.testing import capture_logs
from waiting import until

from pdp.errors import TransportError
from pdp.metrics.counters import BUCKETS
from pdp.rules.core import core
from pdp.rules.model import Decision
from pdp.security.settings import Auth, SecuritySettings
from pdp.settings import Transport
from pdp.transports import choice
from pdp.transports.choice import choose_transport
from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from server import Running


pytestmark = built

CHECK = "/rightcall.v1.DecisionService/CheckCall"
HUGE = 300_000_000


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """A server with rules of two tenants."""
    with served(denying("0900"), denying("0901", tenant=BOLT, user=BOB), io_threads=2) as it:
        yield it


def test_plain_calls_do_not_reach_python(running: Running) -> None:
    """Alone and among many, of each tenant; and yet all are counted."""
    before, counted = in_python(running), value(running, "check_duration_seconds_count")
    bob = v1.CheckCallRequest(caller=BOB, extension="0901")
    one, other = (running.decisions.CheckCall(call, timeout=DEADLINE) for call in (CALL, bob))
    many = running.decisions.CheckCalls(v1.CheckCallsRequest(calls=[CALL, bob, CALL]), timeout=DEADLINE)

    assert [one.decision, other.decision, *(answer.response.decision for answer in many.answers)] == [DENY] * 5
    assert in_python(running) == before
    assert value(running, "check_duration_seconds_count") == counted + 5


def test_what_denies_is_counted_by_permission() -> None:
    """As Python counts it, and each scrape tells the sum."""
    with served(denying("0900")) as running:
        for _ in range(3):
            running.decisions.CheckCall(CALL, timeout=DEADLINE)
        running.decisions.CheckCall(v1.CheckCallRequest(caller=ALICE, extension="1"), timeout=DEADLINE)
        labels = {"tenant": ACME, "permission": "1", "name": "premium", "decision": "deny"}
        found = [
            sample.value
            for _ in range(2)
            for metric in running.metrics.registry.collect()
            for sample in metric.samples
            if sample.name == "rightcall_refusals_total" and sample.labels["tenant"] == labels["tenant"]
        ]
        decisions = value(running, "decisions_total", decision="deny", stage="user")
        requests = value(running, "grpc_requests_total", method="CheckCall", code="OK")

    assert found == [3, 3]
    assert (decisions, requests) == (3, 4)


def test_its_buckets_are_those_of_the_metrics() -> None:
    """They stand in both languages."""
    from pdp import _core  # noqa: PLC0415 - it may not be built

    assert list(_core.BUCKETS) == [round(bound * 1e9) for bound in BUCKETS]


def test_new_rules_decide_at_once() -> None:
    """And those of a tenant that is removed do not any more."""
    with served(denying("0900"), denying("0901", tenant=BOLT, user=BOB)) as running:
        before = running.decisions.CheckCall(CALL, timeout=DEADLINE)
        running.current.replace(snapshot_of(denying("0901"), number=2))
        after = running.decisions.CheckCall(CALL, timeout=DEADLINE)
        running.current.remove(ACME)
        gone = running.decisions.CheckCall(CALL, timeout=DEADLINE)

    assert (before.decision, before.revision[0]) == (DENY, "1")
    assert (after.decision, after.revision[0]) == (v1.Decision.DECISION_ALLOW, "2")
    assert (gone.stage, gone.revision) == (v1.Stage.STAGE_NONE, "")


def connection(running: Running) -> socket.socket:
    """A connection of its own."""
    host, _, port = running.server.address.rpartition(":")
    return socket.create_connection((host, int(port)), DEADLINE)


def received(peer: socket.socket, wanted: bytes) -> bytes:
    """What a peer gets, until that is among it or the connection ends."""
    got = b""
    while wanted not in got and (more := peer.recv(65_536)):
        got += more
    return got


def test_a_declared_size_is_refused_before_the_message_comes(running: Running) -> None:
    """With the status for that, behind the first bytes."""
    counted = {"method": "CheckCall", "code": "RESOURCE_EXHAUSTED"}
    before = value(running, "grpc_requests_total", **counted)
    with closing(connection(running)) as peer:
        peer.sendall(GREETING + opened(1) + frame(Kind.DATA, 0, 1, message(b"x" * 16_000, length=HUGE)))
        until(lambda: value(running, "grpc_requests_total", **counted) == before + 1, "it is refused")
        peer.sendall(frame(Kind.PING, 0, 0, b"12345678"))
        frames = received(peer, b"12345678")

    assert frame(Kind.HEADERS, END_STREAM | END_HEADERS, 1, b"")[3:9] in frames


def test_connections_and_calls_beyond_the_limits_are_refused() -> None:
    """A connection is closed; a call is reset so that its client may ask again, and a place that is left is taken."""
    refused = frame(Kind.RESET, 0, 5, number(7))  # REFUSED_STREAM
    with served(denying("0900"), max_connections=2, max_concurrent_streams=2) as running, ExitStack() as open_ones:
        first, second = (open_ones.enter_context(closing(connection(running))) for _ in range(2))
        for peer in (first, second):
            peer.sendall(GREETING)
            assert received(peer, ACKNOWLEDGED)
        with closing(connection(running)) as third, suppress(ConnectionResetError):
            third.sendall(GREETING)
            assert received(third, ACKNOWLEDGED) == b""
        first.sendall(opened(1) + opened(3) + opened(5))
        assert refused in received(first, refused)
        second.close()

        def is_taken() -> bool:
            with closing(connection(running)) as another, suppress(ConnectionResetError):
                another.sendall(GREETING)
                return received(another, ACKNOWLEDGED) != b""
            return False

        until(is_taken, "there is room again")


def test_headers_a_little_beyond_the_limit_get_a_status(running: Running) -> None:
    """Which tells what is wrong, unlike HTTP's."""
    with pytest.raises(grpc.RpcError) as refused:
        running.decisions.CheckCall(CALL, metadata=(("a", "x" * 17_000),), timeout=DEADLINE)

    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "16384" in (refused.value.details() or "")


def test_what_is_no_grpc_gets_a_status_of_https(running: Running) -> None:
    """From the front, so that the server behind has nothing to write about it; and a person can read what this is."""
    page = bytes((0x82, 0x84, 0x86, 0x41, 1)) + b"a"  # GET / over http, of the authority a
    end = b"this port speaks gRPC; metrics and AuthZEN are at the address of --http\n"
    with closing(connection(running)) as peer:
        peer.sendall(GREETING + frame(Kind.HEADERS, END_STREAM | END_HEADERS, 1, page))

        assert end in received(peer, end)


def test_clients_that_name_a_socket_or_many_addresses_are_answered(tmp_path: Path) -> None:
    """The C core of gRPC makes authorities of them that are no hosts."""
    with served(denying("0900"), listen=f"unix:{tmp_path}/a socket") as running:
        assert running.decisions.CheckCall(CALL, timeout=DEADLINE).decision == DENY
    with served(denying("0900")) as running:
        address = running.server.address
        for _ in range(2):
            with grpc.insecure_channel(f"ipv4:{address},{address}", ALONE) as channel:
                stub = v1.DecisionServiceStub(channel)
                found = [stub.CheckCall(CALL, timeout=DEADLINE).decision for _ in range(3)]
                assert found == [DENY] * 3


def test_no_client_can_say_who_it_is_in_the_fronts_name(tmp_path: Path) -> None:
    """An address and a certificate are told behind by the front alone."""
    authority = Authority(tmp_path)
    pair = authority.issue("asterisk.example.org")
    claimed = (
        ("rightcall-front-certificate-bin", pair.certificate.public_bytes(Encoding.DER)),
        ("rightcall-front-peer", "ipv4:9.9.9.9:9"),
    )
    security = SecuritySettings(auth=Auth.NONE, client_rate=0.001, client_burst=2)
    with served(denying("0900"), security=security) as running:
        ask = running.directory.GetStatus
        codes = [refusal(lambda: ask(v1.GetStatusRequest(), metadata=claimed, timeout=DEADLINE)) for _ in range(2)]
        codes += [refusal(lambda: ask(v1.GetStatusRequest(), timeout=DEADLINE))]

    assert [code.name for code in codes] == ["OK", "OK", "RESOURCE_EXHAUSTED"]


def test_a_rate_counts_calls_wherever_they_are_answered(tmp_path: Path) -> None:
    """Plain ones in Rust, others in Python: one bucket."""
    clients = clients_file(tmp_path, client_of("a", "token-a"))
    security = SecuritySettings(auth=Auth.TOKENS, clients=clients, client_rate=0.001, client_burst=30)
    with served(denying("0900"), security=security) as running:
        before = in_python(running)
        answered = 0
        while refusal(lambda: check(running, "token-a", caller=ALICE)) is grpc.StatusCode.OK:
            answered += 1
            time.sleep(0.02)  # the token is judged meanwhile
        explained = refusal(
            lambda: running.decisions.ExplainCall(
                v1.ExplainCallRequest(call=CALL), metadata=bearer("token-a"), timeout=DEADLINE
            )
        )
        rust = answered - (in_python(running) - before - 2)

    assert answered == 30
    assert explained is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert rust > 0


def test_calls_for_help_are_under_no_limit(tmp_path: Path) -> None:
    """And are answered where all the others are, also for a tenant that is closed."""
    clients = clients_file(tmp_path, client_of("a", "token-a"))
    security = SecuritySettings(auth=Auth.TOKENS, clients=clients, client_rate=0.001, client_burst=1)
    closed = replace(denying(), call_permissions=(), closed=1, emergency=("112",))
    with served(closed, security=security) as running:
        until(
            lambda: handed(running, lambda: check(running, "token-a", caller=ALICE, extension="112")) == 0,
            "the token is judged",
        )
        other = refusal(lambda: check(running, "token-a", caller=ALICE, extension="1"))
        found = [check(running, "token-a", caller=ALICE, extension=one) for one in ("112", "1-12") * 5]

    assert other is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert {v1.Reason.Name(one.reason) for one in found} == {"REASON_EMERGENCY"}


def handed(running: Running, ask: Callable[[], object]) -> float:
    """How many requests were handed to Python meanwhile."""
    before = value(running, "core_handed_total", method="CheckCall")
    ask()
    return value(running, "core_handed_total", method="CheckCall") - before


def test_what_is_handed_to_python_is_counted(running: Running) -> None:
    """Errors, and text beyond ASCII."""
    odd = v1.CheckCallRequest(caller=ALICE, extension="é")

    assert handed(running, lambda: running.decisions.CheckCall(odd, timeout=DEADLINE)) == 1
    assert handed(running, lambda: running.decisions.CheckCall(CALL, timeout=DEADLINE)) == 0


def test_health_is_told_by_the_core() -> None:
    """As the rules come; names that are unknown are for Python."""
    names = ["", "rightcall.v1.DecisionService", "rightcall.v1.DirectoryService"]
    with served() as running:
        check_health = HealthStub(running.channel).Check  # type: ignore[attr-defined] # made at run time

        def told() -> set[int]:
            requests = [health_pb2.HealthCheckRequest(service=name) for name in names]
            return {check_health(request, timeout=DEADLINE).status for request in requests}

        before = told()
        running.current.replace(snapshot_of(denying("0900")))
        after = told()
        unknown = health_pb2.HealthCheckRequest(service="unknown")
        other = refusal(lambda: check_health(unknown, timeout=DEADLINE))

    status = health_pb2.HealthCheckResponse
    assert (before, after) == ({status.NOT_SERVING}, {status.SERVING})
    assert other is grpc.StatusCode.NOT_FOUND


def test_a_token_that_was_good_ends_with_its_entry(tmp_path: Path) -> None:
    """Though it was remembered."""
    path = clients_file(tmp_path, client_of("a", "token-a"), client_of("b", "token-b", tenants=[BOLT]))
    with served(denying("0900"), security=SecuritySettings(auth=Auth.TOKENS, clients=path)) as running:
        before = in_python(running)

        def plain() -> bool:
            counted = in_python(running)
            return check(running, "token-a", caller=ALICE).decision == DENY and in_python(running) == counted

        until(plain, "the token is remembered")
        assert in_python(running) > before
        other = refusal(lambda: check(running, "token-b", tenant=ACME))
        clients_file(tmp_path, client_of("b", "token-b"))
        until(lambda: refusal(lambda: check(running, "token-a")) is grpc.StatusCode.UNAUTHENTICATED, "it is refused")

    assert other is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize(
    ("name", "settings"),
    [("idle", {"max_connection_idle": 0.3}), ("old", {"max_connection_age": 0.3, "max_connection_age_grace": 0.1})],
)
def test_connections_are_let_go(name: str, settings: dict[str, float]) -> None:
    """By GOAWAY, and in the end by closing them."""
    assert name
    with served(denying("0900"), keepalive_timeout=0.5, **settings) as running, closing(connection(running)) as peer:
        peer.sendall(GREETING)
        received(peer, b"there is nothing like that")

        assert running.decisions.CheckCall(CALL, timeout=DEADLINE).decision == DENY


def test_a_peer_that_is_gone_is_noticed() -> None:
    """It answers no ping."""
    settings = {"keepalive_time": 0.2, "keepalive_timeout": 0.3}
    with served(denying("0900"), **settings) as running, closing(connection(running)) as peer:
        peer.sendall(GREETING)
        received(peer, b"there is nothing like that")


def test_connections_are_spread_over_threads() -> None:
    """Each gets the next to the one that has fewest."""
    with served(denying("0900"), io_threads=3) as running, ExitStack() as opened_channels:
        for _ in range(6):
            channel = opened_channels.enter_context(grpc.insecure_channel(running.server.address, ALONE))
            assert v1.DecisionServiceStub(channel).CheckCall(CALL, timeout=DEADLINE).decision == DENY
        transport: Any = running.server._transport

        assert transport._front.load()[0] == 6


def test_a_call_that_never_ends_holds_no_thread_of_python() -> None:
    """A unary call goes behind only as a whole."""
    with served(denying("0900"), threads=1) as running, closing(connection(running)) as peer:
        half = frame(Kind.DATA, 0, 1, message(b"abc", length=1000))
        status = "/rightcall.v1.DirectoryService/GetStatus"
        peer.sendall(GREETING + opened(1, path=status) + half)
        time.sleep(0.1)

        assert running.directory.GetStatus(v1.GetStatusRequest(), timeout=DEADLINE).tenants


def test_bytes_behind_the_message_are_for_python_to_judge(running: Running) -> None:
    """Two messages where one is due."""
    data = CALL.SerializeToString()
    with closing(connection(running)) as peer:
        peer.sendall(GREETING + opened(1) + frame(Kind.DATA, END_STREAM, 1, message(data) * 2))
        peer.settimeout(1)
        with suppress(TimeoutError):
            received(peer, b"there is nothing like that")

    assert running.decisions.CheckCall(CALL, timeout=DEADLINE).decision == DENY


def test_the_decision_log_is_written_as_by_python(tmp_path: Path) -> None:
    """Alone and among many, with the id that comes back; mask and shares are kept."""
    calls = [
        CALL,
        v1.CheckCallRequest(caller=ALICE, extension="12345"),
        v1.CheckCallRequest(caller=ALICE, extension="é"),
    ]
    found = {}
    for transport in (Transport.GRPCIO, Transport.CORE):
        path = tmp_path / transport.value
        path.mkdir()
        with running_server(denying("0900"), transport=transport, decision_log=logged(path, mask=2)) as running:
            ends = [running.decisions.CheckCall.with_call(call, timeout=DEADLINE)[1] for call in calls]
            many = v1.CheckCallsRequest(calls=calls[:2])
            ends.append(running.decisions.CheckCalls.with_call(many, timeout=DEADLINE)[1])
            ids = [str(dict(end.trailing_metadata())["rightcall-decision-id"]) for end in ends]
            until(lambda: value(running, "decision_log_entries_total", result="written") == 5, "all are written")
        by_id = {entry["decision_id"]: entry for entry in entries(path)}
        assert len(by_id) == 5
        found[transport] = [by_id[name] for name in (*ids, ids[-1] + ".2")]

    once, again = found.values()
    for one, other in zip(once, again, strict=True):
        assert list(one) == list(other)
        assert {**one, **OWN} == {**other, **OWN}
        assert datetime.fromisoformat(other["time"]).utcoffset() == timedelta(0)
        assert re.fullmatch(r"[0-9a-f]{32}(\.2)?", other["decision_id"])


OWN = {"time": "", "decision_id": "", "latency_us": 0}
"""What each entry has of its own."""


def test_decisions_that_are_not_to_be_logged_are_left_out(tmp_path: Path) -> None:
    """By decision; and what finds no room is counted."""
    log = logged(tmp_path, samples={Decision.ALLOW: 0.0}, queue=10)
    allowed = v1.CheckCallRequest(caller=ALICE, extension="1")
    with served(denying("0900"), decision_log=log) as running:
        running.decisions.CheckCall(allowed, timeout=DEADLINE)
        many = v1.CheckCallsRequest(calls=[CALL] * 1000)
        running.decisions.CheckCalls(many, timeout=DEADLINE)

        def counted() -> float:
            return sum(value(running, "decision_log_entries_total", result=one) for one in ("written", "dropped"))

        until(lambda: counted() == 1000, "all are written or counted")

    assert {entry["decision"] for entry in entries(tmp_path)} == {"DENY"}
    assert 10 <= len(entries(tmp_path)) < 1000


def test_auto_is_the_core_wherever_it_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """And grpcio wherever it is not."""
    built_here = choose_transport(Transport.AUTO)
    monkeypatch.setattr("pdp.transports.choice.core_is_built", lambda: False)

    assert (built_here, choose_transport(Transport.AUTO)) == (Transport.CORE, Transport.GRPCIO)


@pytest.fixture
def loading(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[str], object]], bool]]:
    """Whether the core is built, where it is imported so."""
    forget = (core.cache_clear, choice.core_is_built.cache_clear)

    def built_by(load: Callable[[str], object]) -> bool:
        monkeypatch.setattr("pdp.rules.core.import_module", load)
        for each in forget:
            each()
        return choice.core_is_built()

    yield built_by
    for each in forget:
        each()


def test_a_core_that_cannot_be_loaded_is_none(loading: Callable[[Callable[[str], object]], bool]) -> None:
    """The server starts without it, and the log says why."""

    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    def unusable(name: str) -> None:
        raise ImportError(f"{name}: made for another system")

    with capture_logs() as logs:
        found = [loading(missing), loading(unusable), loading(lambda _name: object())]

    assert found == [False, False, False]
    assert [entry["event"] for entry in logs] == ["core_unusable"] * 2
    assert ["another system" in logs[0]["problem"], "another release" in logs[1]["problem"]] == [True, True]


def test_a_core_that_is_not_built_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what it needs."""
    monkeypatch.setattr("pdp.transports.choice.core_is_built", lambda: False)

    with pytest.raises(TransportError, match="Rust compiler"):
        choose_transport(Transport.CORE)
