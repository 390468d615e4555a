"""``rightcall serve`` as an operator runs it, on a core of its own, with the benchmarks' rules in Redis or on disk."""

from __future__ import annotations

import socket
import time
import urllib.request
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from load.prepare import SECRET
from programs import Program
from prometheus_client.parser import text_string_to_metric_families
from redis_server import free_port

from bench.facts import SERVER_CORE, pin

if TYPE_CHECKING:
    from collections.abc import Iterator

START_SECONDS = 120.0
_LOOK_SECONDS = 0.005
_OTHER_LOOPBACK = "127.0.0.2"
"""Who asks again and again for a free port, from its own address, one day connects to itself."""


class Service(NamedTuple):
    """A server that answers.

    Attributes:
        program: the process that was started.
        process: its id.
        port: of the gRPC API.
        http: of metrics.
        started: seconds from its start to the answer SERVING.
    """

    program: Program
    process: int
    port: int
    http: int
    started: float

    def requests(self) -> dict[str, float]:
        """How many requests ended with which status, by its own count."""
        found: dict[str, float] = {}
        for labels, value in self._metric("rightcall_grpc_requests_total"):
            code = labels["code"]
            found[code] = found.get(code, 0.0) + value
        return found

    def reloads(self) -> float:
        """How many snapshots it has taken from Redis."""
        return sum(
            value
            for labels, value in self._metric("rightcall_reloads_total")
            if labels["source"] == "redis" and labels["result"] == "success"
        )

    def revision(self) -> float:
        """The number of the revision that it decides by; of the only tenant."""
        ((_, value),) = self._metric("rightcall_snapshot_revision")
        return value

    def _metric(self, name: str) -> list[tuple[dict[str, str], float]]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/metrics", timeout=10) as answer:
            families = text_string_to_metric_families(answer.read().decode())
        return [(one.labels, one.value) for family in families for one in family.samples if one.name == name]

    def channel(self) -> grpc.Channel:
        """A connection that nobody else uses."""
        return _channel(self.port)


@contextmanager
def serving(*options: str, core: int | None = SERVER_CORE, certificate: bytes | None = None) -> Iterator[Service]:
    """A server, once it answers calls.

    Args:
        options: where its rules come from, and whatever else is wanted.
        core: that it has; None: any.
        certificate: that it shows, where it speaks TLS, PEM.
    """
    port, http = free_port(), free_port()
    addresses = ("--listen", f"127.0.0.1:{port}", "--http", f"127.0.0.1:{http}")
    begun = time.perf_counter()
    with Program("serve", *addresses, *options, "--log-level", "warning", RIGHTCALL_SECRET_KEY=SECRET) as program:
        process = program._process.pid
        if core is not None:
            pin(core, process)
        _await_listening(port, begun + START_SECONDS)
        with _channel(port, certificate) as channel:
            _await_serving(channel, begun + START_SECONDS)
        started = time.perf_counter() - begun
        yield Service(program, process, port, http, started)


def _channel(port: int, certificate: bytes | None = None) -> grpc.Channel:
    address, options = f"127.0.0.1:{port}", [("grpc.use_local_subchannel_pool", 1)]
    if certificate is None:
        return grpc.insecure_channel(address, options)
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(certificate), options)


def _await_listening(port: int, deadline: float) -> None:
    """Returns when somebody takes connections; a gRPC client would wait for a second before it tries once more."""
    while time.perf_counter() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), source_address=(_OTHER_LOOPBACK, 0)):
            return
        time.sleep(_LOOK_SECONDS)
    raise TimeoutError("the server does not come to listen")


def _await_serving(channel: grpc.Channel, deadline: float) -> None:
    check = channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=HealthCheckRequest.SerializeToString,
        response_deserializer=HealthCheckResponse.FromString,
    )
    while time.perf_counter() < deadline:
        with suppress(grpc.RpcError):
            answer = check(HealthCheckRequest(), timeout=5, wait_for_ready=True)
            if answer.status == HealthCheckResponse.SERVING:
                return
        time.sleep(_LOOK_SECONDS)
    raise TimeoutError("the server does not come to serve")
