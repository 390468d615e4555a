"""Metrics and health over HTTP."""

from __future__ import annotations

import http.client
import logging
import re
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import pytest
import structlog
from given import denying
from security import client_of, clients_file
from server import DEADLINE, current_of, running_server
from structlog.testing import capture_logs
from waiting import until

from pdp.metrics.registry import Metrics
from pdp.runtime.http import HttpServer, Readiness
from pdp.runtime.open_files import connection_limits
from pdp.security.settings import Auth, SecuritySettings
from pdp.snapshots.current import CurrentSnapshots

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from server import Running


class Page(NamedTuple):
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: str


def fetch(address: str, path: str, *, method: str = "GET", accept: str = "*/*") -> Page:
    """One request, one connection."""
    connection = http.client.HTTPConnection(address, timeout=DEADLINE)
    try:
        connection.request(method, path, headers={"Accept": accept})
        response = connection.getresponse()
        return Page(response.status, response.headers, response.read().decode())
    finally:
        connection.close()


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """A server with rules."""
    with running_server(denying("0900")) as it:
        yield it


def test_metrics_come_in_the_format_that_is_asked_for(running: Running) -> None:
    """Prometheus' text by default, OpenMetrics for who accepts it."""
    plain = fetch(running.server.http_address, "/metrics")
    modern = fetch(running.server.http_address, "/metrics", accept="application/openmetrics-text; version=1.0.0")

    assert (plain.status, modern.status) == (200, 200)
    assert plain.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert modern.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert 'rightcall_build_info{version="1.2.3"} 1.0' in plain.body
    assert modern.body.endswith("# EOF\n")


def test_a_living_and_ready_server_says_so(running: Running) -> None:
    """A line for people, a status for probes; a query changes nothing."""
    alive = fetch(running.server.http_address, "/healthz")
    ready = fetch(running.server.http_address, "/readyz?verbose")

    assert (alive.status, alive.body) == (200, "alive\n")
    assert (ready.status, ready.body) == (200, "ready: 1 tenant from rules of a test\n")


def test_a_server_without_rules_lives_but_is_not_ready() -> None:
    """It tells where the rules should come from and what is in the way."""
    current = CurrentSnapshots("redis://rules:6379/0")
    current.source_error = "nobody answers there"
    with running_server(current=current) as running:
        alive = fetch(running.server.http_address, "/healthz")
        unready = fetch(running.server.http_address, "/readyz")

    assert alive.status == 200
    assert unready.status == 503
    assert unready.body == "not ready: no rules are loaded from redis://rules:6379/0; nobody answers there\n"


def test_a_server_whose_source_fails_later_stays_ready() -> None:
    """It answers from what it holds, and says what is wrong."""
    current = current_of(denying("0900"))
    current.source_error = "nobody answers there"
    with running_server(current=current) as running:
        ready = fetch(running.server.http_address, "/readyz")

    assert ready.status == 200
    assert "nobody answers there" in ready.body


def test_strangers_read_counts_and_no_faults(tmp_path: Path) -> None:
    """Where clients have to say who they are, the faults of rules are for them."""
    current = current_of(denying("0900"))
    current.source_error = "permission 7: the pattern _0[ is unclosed"
    security = SecuritySettings(auth=Auth.TOKENS, clients=clients_file(tmp_path, client_of("pbx", "token")))
    with running_server(current=current, security=security) as running:
        ready = fetch(running.server.http_address, "/readyz")

    assert ready.body == "ready: 1 tenant from their source; there are faults, which GetStatus and the log name\n"


def test_what_is_shown_of_faults_is_bounded() -> None:
    """However many there are."""
    current = current_of(denying("0900"))
    current.source_error = "fault " * 1_000_000
    with running_server(current=current) as running:
        assert len(fetch(running.server.http_address, "/readyz").body) < 1200


def test_head_has_headers_and_no_body(running: Running) -> None:
    """Those of GET."""
    whole = fetch(running.server.http_address, "/healthz")
    head = fetch(running.server.http_address, "/healthz", method="HEAD")

    assert (head.status, head.body) == (200, "")
    assert head.headers["Content-Length"] == whole.headers["Content-Length"] == "6"


def test_anything_else_is_not_found_and_other_methods_are_refused(running: Running) -> None:
    """The answer names what there is, and not what it is made with."""
    nothing = fetch(running.server.http_address, "/admin")
    posted = fetch(running.server.http_address, "/metrics", method="POST")

    assert nothing.status == 404
    assert all(path in nothing.body for path in ("/metrics", "/healthz", "/readyz"))
    assert nothing.headers["Server"] == "rightcall"
    assert posted.status == 405


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"GET\r\n\r\n", b"x" * 70_000, b"\r\n"])
def test_garbage_is_no_trouble(running: Running, garbage: bytes) -> None:
    """Nothing is logged above debug, and the next request is answered."""
    host, _, port = running.server.http_address.partition(":")
    with capture_logs() as logs:
        with socket.create_connection((host, int(port)), timeout=DEADLINE) as client:
            client.sendall(garbage)
            client.shutdown(socket.SHUT_WR)
            while client.recv(4096):
                pass
        alive = fetch(running.server.http_address, "/healthz")

    assert alive.status == 200
    assert {entry["log_level"] for entry in logs} <= {"debug"}


def connections(address: str, count: int) -> list[socket.socket]:
    """So many connections on which nothing is sent."""
    host, _, port = address.rpartition(":")
    return [socket.create_connection((host, int(port)), timeout=DEADLINE) for _ in range(count)]


def closed(running: Running, reason: str) -> float:
    """How many connections were closed for a reason."""
    page = fetch(running.server.http_address, "/metrics").body
    (value,) = re.findall(rf'^rightcall_http_closed_total{{reason="{reason}"}} (.+)$', page, re.MULTILINE)
    return float(value)


def test_hundreds_of_idle_connections_keep_no_probe_waiting(running: Running) -> None:
    """As many telephones' proxies may have; the gauge shows them."""
    idle = connections(running.server.http_address, 500)
    alive = fetch(running.server.http_address, "/healthz")
    address = running.server.http_address
    until(lambda: "\nrightcall_http_connections 501.0" in fetch(address, "/metrics").body, "all are shown")
    for client in idle:
        client.close()

    assert alive.status == 200


def test_beyond_the_limit_those_that_have_been_idle_the_longest_are_closed() -> None:
    """The newest are served, and the log and the metrics say what was done."""
    with running_server(denying("0900"), http_max_connections=40) as running, capture_logs() as logs:
        idle = connections(running.server.http_address, 60)
        statuses = {fetch(running.server.http_address, path).status for path in ("/healthz", "/readyz", "/metrics")}
        first = idle[0].recv(1)
        count = closed(running, "address")
        for client in idle:
            client.close()

    assert statuses == {200}
    assert first == b""
    assert count >= 40
    assert {"http_connection_closed"} <= {entry["event"] for entry in logs}


def unread(address: str, count: int) -> list[socket.socket]:
    """Connections that ask for metrics again and again and read nothing."""
    made = []
    for _ in range(count):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        host, _, port = address.rpartition(":")
        client.connect((host, int(port)))
        client.settimeout(0.2)
        with suppress(OSError):
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n" * 200)
        made.append(client)
    return made


def test_clients_that_do_not_read_keep_no_probe_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """More of them than there may be connections: they are closed after a while, and probes have a reserve."""
    monkeypatch.setattr("pdp.runtime.http_connections.SLOW_READER_SECONDS", 1.0)
    with running_server(denying("0900"), http_max_connections=20) as running:
        busy = unread(running.server.http_address, 25)
        statuses = {fetch(running.server.http_address, path).status for path in ("/healthz", "/readyz")}
        asked = fetch(running.server.http_address, "/.well-known/authzen-configuration").status
        until(lambda: closed(running, "slow_reader") >= 5, "those that do not read are closed")
        for client in busy:
            client.close()

    assert statuses == {200}
    assert asked in {200, 503}


def test_connections_fit_into_the_files_that_a_process_may_have() -> None:
    """Few or many, chosen or not; something is left for everything else."""
    for files in (256, 1024, 20_000, 2**30):
        for chosen in (0, 100, 10**6):
            grpc_most, http_most = connection_limits(chosen, 1024, reserve=32, files=files)
            assert grpc_most + http_most + 32 <= files - 60
            assert grpc_most <= (chosen or files)
            assert min(grpc_most, http_most) >= 16


def test_a_request_that_drips_in_is_given_up(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often the client sends another byte of its headers or of its body."""
    monkeypatch.setattr("pdp.runtime.http_connections.SLOW_REQUEST_SECONDS", 0.2)
    host, _, port = running.server.http_address.partition(":")
    head = b"POST /access/v1/evaluation HTTP/1.1\r\nHost: here\r\nContent-Length: 1000\r\n"
    for start in (head, head + b"\r\n"):
        with socket.create_connection((host, int(port)), timeout=DEADLINE) as client:
            client.sendall(start)
            until(lambda: hung_up(client), "the connection is closed")


def hung_up(client: socket.socket) -> bool:
    """Whether the server has closed a connection, after one more byte."""
    client.settimeout(0.05)
    try:
        client.sendall(b"x")
        return client.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_a_connection_serves_one_request_after_the_other(running: Running) -> None:
    """Whoever asks often need not connect each time."""
    connection = http.client.HTTPConnection(running.server.http_address, timeout=DEADLINE)
    statuses = []
    for _ in range(3):
        connection.request("GET", "/healthz")
        response = connection.getresponse()
        response.read()
        statuses.append(response.status)
    connection.close()

    assert statuses == [200, 200, 200]


def test_answers_leave_at_once(running: Running) -> None:
    """Otherwise each would wait for the client's operating system, for 40 ms."""
    assert running.server._http is not None
    listening = running.server._http._socket
    host, _, port = running.server.http_address.partition(":")
    with socket.create_connection((host, int(port)), timeout=DEADLINE) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n")
        client.recv(1)
        (connection,) = running.server._http._server.server_state.connections

        assert listening.proto == socket.IPPROTO_TCP
        assert connection.transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_probes_and_scrapes_stay_out_of_the_log(running: Running) -> None:
    """At info, that is."""
    seen: list[structlog.typing.EventDict] = []

    def note(_logger: object, _method: str, event: structlog.typing.EventDict) -> str:
        seen.append(event)
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[note], wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    try:
        fetch(running.server.http_address, "/readyz")
        fetch(running.server.http_address, "/metrics")
    finally:
        structlog.configure(**before)

    # A thread of an earlier test may still have something to say, of its own page.
    assert [event for event in seen if event.get("path", "/readyz") in {"/readyz", "/metrics"}] == []


def test_a_page_that_fails_is_logged_and_the_next_request_answered() -> None:
    """The client gets no traceback."""
    answers = iter([Readiness(ready=True, reason="fine")])
    server = HttpServer("127.0.0.1:0", Metrics(current_of(), "").registry, lambda: next(answers))
    server.start()
    try:
        first = fetch(server.address, "/readyz")
        with capture_logs() as logs:
            second = fetch(server.address, "/readyz")
            alive = fetch(server.address, "/healthz")
    finally:
        server.stop()

    assert (first.status, second.status, alive.status) == (200, 500, 200)
    assert second.body == "internal error\n"
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["http_request_failed"]
