"""A collector of OpenTelemetry: takes spans over OTLP/gRPC or OTLP/HTTP, as real ones do, and keeps them for a test.

``python tests/support/collector.py`` listens on port 4317 and prints the spans that come, for people to read.
"""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from opentelemetry.proto.common.v1.common_pb2 import KeyValue

_HANG_SECONDS = 60
"""Longer than anybody who must not wait for a collector."""


class Received(NamedTuple):
    """A span, and who sent it.

    Attributes:
        span: as it came.
        resource: the attributes of its sender.
    """

    span: Span
    resource: dict[str, Any]

    @property
    def name(self) -> str:
        """The span's."""
        return self.span.name

    @property
    def attributes(self) -> dict[str, Any]:
        """The span's, by name."""
        return _values(self.span.attributes)

    def document(self) -> dict[str, Any]:
        """The span for a person."""
        span = self.span
        return {
            "service": self.resource.get("service.name"),
            "name": span.name,
            "kind": Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
            "trace_id": span.trace_id.hex(),
            "span_id": span.span_id.hex(),
            "parent_span_id": span.parent_span_id.hex(),
            "microseconds": (span.end_time_unix_nano - span.start_time_unix_nano) // 1000,
            "status": Status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_"),
            "attributes": self.attributes,
        }

    @property
    def failed(self) -> bool:
        """Whether its status says that it did."""
        return self.span.status.code == Status.STATUS_CODE_ERROR


class Spans:
    """Keeps what came."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.requests: list[ExportTraceServiceRequest] = []

    def take(self, request: ExportTraceServiceRequest) -> None:
        """Keeps what a request holds."""
        self.requests.append(request)
        self.received += (
            Received(span, _values(sender.resource.attributes))
            for sender in request.resource_spans
            for scope in sender.scope_spans
            for span in scope.spans
        )

    def named(self, name: str) -> list[Received]:
        """All the spans of this name, in the order in which they began."""
        return sorted((one for one in self.received if one.name == name), key=lambda one: one.span.start_time_unix_nano)

    def wait_for(self, name: str, count: int = 1) -> list[Received]:
        """The spans of this name, once there are so many."""
        until(lambda: len(self.named(name)) >= count, f"{count} spans {name!r} came")
        return self.named(name)


@contextmanager
def http_collector() -> Iterator[tuple[str, Spans]]:
    """A collector over HTTP: its address, and what came."""
    spans = Spans()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/traces" and self.headers["Content-Type"] == "application/x-protobuf":
                spans.take(ExportTraceServiceRequest.FromString(body))
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}", spans
        server.shutdown()
        serving.join()


class Collector(TraceServiceServicer, Spans):
    """As a context manager: listens on a port of this machine.

    Args:
        port: of this machine; 0: one that is free.
        hanging: take what comes, and never answer.
    """

    def __init__(self, *, port: int = 0, hanging: bool = False) -> None:
        Spans.__init__(self)
        self._go_on = threading.Event()
        if not hanging:
            self._go_on.set()
        self._server = grpc.server(ThreadPoolExecutor(2))
        add_TraceServiceServicer_to_server(self, self._server)  # type: ignore[no-untyped-call] # generated
        self.endpoint = f"http://127.0.0.1:{self._server.add_insecure_port(f'127.0.0.1:{port}')}"

    def Export(  # noqa: N802 - as the protocol calls it
        self, request: ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> ExportTraceServiceResponse:
        """Keeps what came."""
        del context
        self.take(request)
        self._go_on.wait(_HANG_SECONDS)
        return ExportTraceServiceResponse()

    def __enter__(self) -> Self:
        """Listens."""
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Ends, whoever waits."""
        self._go_on.set()
        self._server.stop(None).wait()


def _values(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    return {one.key: getattr(one.value, str(one.value.WhichOneof("value"))) for one in attributes}


if __name__ == "__main__":
    with Collector(port=4317) as collector:
        shown = 0
        while True:
            for received in collector.received[shown:]:
                print(json.dumps(received.document(), indent=1), flush=True)
                shown += 1
            time.sleep(0.2)
