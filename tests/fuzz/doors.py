"""What is fuzzed of a server's doors: requests over HTTP, and the count of calls in a batch."""

from __future__ import annotations

import atexit
import json
import socket
from typing import TYPE_CHECKING

from given import ACME, ALICE
from google.protobuf.message import DecodeError
from prometheus_client import CollectorRegistry

from fuzz.mutations import nearly
from fuzz.target import Target
from pdp.authzen.routes import authzen_routes
from pdp.errors import InvalidCall
from pdp.runtime.address import parse_address
from pdp.runtime.http import HttpServer, Readiness
from pdp.services.methods import count_calls
from rightcall import v1

if TYPE_CHECKING:
    from pdp.authzen.evaluator import Evaluator
    from pdp.authzen.search import Search

_SECONDS = 10.0
_MOST = 1000
"""Calls in a batch."""


def http(evaluator: Evaluator, search: Search) -> Target:
    """What a connection to the HTTP port sends before it sends no more: responses, none of which is a defect's."""
    routes = authzen_routes(evaluator, search)
    server = HttpServer("127.0.0.1:0", CollectorRegistry(), lambda: Readiness(ready=True, reason="ready"), routes)
    server.start()
    atexit.register(server.stop)
    address = parse_address(server.address)

    def run(data: bytes) -> None:
        with socket.create_connection((address.host, address.port), timeout=_SECONDS) as connection:
            answer = b""
            try:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                while piece := connection.recv(65536):
                    answer += piece
            except (ConnectionError, BrokenPipeError):
                return  # it is free to hang up
        assert not answer or answer.startswith(b"HTTP/1.1 ")
        assert b"HTTP/1.1 500" not in answer

    body = json.dumps(
        {
            "subject": {"type": "user", "id": ALICE},
            "action": {"name": "call"},
            "resource": {"type": "extension", "id": "0033"},
            "context": {"outcall": "1", "tenant": ACME},
        }
    ).encode()
    head = "Host: a\r\nContent-Type: application/json\r\nX-Request-ID: 1\r\n"
    seeds = [f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode() for path in ("/healthz", "/readyz", "/metrics", "/x")]
    for path in ("/access/v1/evaluation", "/access/v1/evaluations", "/access/v1/search/resource"):
        posted = f"POST {path} HTTP/1.1\r\n{head}"
        seeds += [
            f"{posted}Content-Length: {len(body)}\r\n\r\n".encode() + body,
            f"{posted}Transfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n",
        ]
    return Target(run, nearly([*seeds, seeds[0] + seeds[4]]))


def batches() -> Target:
    """The count of calls in a batch, made before it is parsed: never fewer than protobuf finds."""

    def run(data: bytes) -> None:
        try:
            count = count_calls(data, _MOST)
        except InvalidCall:
            return
        try:
            found = len(v1.CheckCallsRequest.FromString(data).calls)
        except DecodeError:
            return
        assert found <= count <= _MOST

    call = v1.CheckCallRequest(caller=ALICE, extension="0033", outcall="1", tenant=ACME)
    many = v1.CheckCallsRequest(calls=[call, v1.CheckCallRequest(extension="1"), v1.CheckCallRequest()])
    return Target(run, nearly([many.SerializeToString(), v1.CheckCallsRequest(calls=[call]).SerializeToString()]))
