"""The export of spans: sets up and closes OpenTelemetry's SDK and the exporter, over OTLP/gRPC or OTLP/HTTP.

Imported only for tracing. Other settings come from OpenTelemetry's own variables (``OTEL_…``).
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import structlog
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

from pdp.runtime.version import version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

_log = structlog.get_logger()

CLOSE_SECONDS: Final = 3.0
"""Time limit for sending the last spans at the end of a program."""
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_GRPC: Final = "grpc"
_HTTP: Final = "http/protobuf"
_HTTP_PATH: Final = "/v1/traces"
"""The path of OTLP/HTTP, unless the endpoint has another."""
_LOGGERS: Final = {
    _GRPC: ("opentelemetry.exporter.otlp.proto.grpc.exporter",),
    _HTTP: tuple(f"opentelemetry.exporter.otlp.proto.http.{module}" for module in ("trace_exporter", "_common")),
}
"""By protocol, the loggers of the exporter."""
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class TracingError(Exception):
    """Tracing cannot be set up as requested; the message names the reason."""


class Tracing:
    """Sends spans to a collector, from a separate thread; no request waits, and excess spans are dropped.

    Args:
        service: the program's name, unless ``OTEL_SERVICE_NAME`` is set.
        endpoint: URL of the collector; empty: ``OTEL_EXPORTER_OTLP_ENDPOINT``, else the one on this machine.
        ratio: share of the traces begun here that is sent, 0 to 1; None: ``OTEL_TRACES_SAMPLER``, else all.

    Attributes:
        tracer: makes spans.

    Raises:
        TracingError: the endpoint, or a variable, is wrong.
    """

    def __init__(self, service: str, *, endpoint: str = "", ratio: float | None = None) -> None:
        protocol = _protocol()
        wanted = endpoint or next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), "")
        if wanted:
            wanted = _checked_endpoint(wanted, protocol)
        try:
            self._exporter = _Exporter(_exporter(protocol, wanted), wanted or "the collector", _LOGGERS[protocol])
            self._provider = TracerProvider(
                sampler=None if ratio is None else ParentBasedTraceIdRatio(ratio),
                resource=_resource(service),
                shutdown_on_exit=False,  # closed by the opener, without waiting for half a minute
            )
            self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        except (OSError, ValueError) as error:
            raise TracingError(f"tracing cannot be set up: {error}; look at the variables OTEL_…") from error
        self.tracer = self._provider.get_tracer("rightcall", version())

    def close(self) -> None:
        """Sends what there is, for a few seconds at most."""
        impatience = threading.Timer(CLOSE_SECONDS, self._exporter.shutdown)
        impatience.daemon = True
        impatience.start()
        self._provider.shutdown()
        impatience.cancel()


class _Exporter(SpanExporter):
    """Logs once that spans cannot be sent, and once that sending works again; spans may be lost for hours.

    Args:
        exporter: sends.
        endpoint: the collector's URL, for the log.
        loggers: the names of the exporter's loggers.
    """

    def __init__(self, exporter: SpanExporter, endpoint: str, loggers: Sequence[str]) -> None:
        self._exporter = exporter
        self._endpoint = endpoint
        self._said = _LastWords()
        self._failing = False
        self._closed = threading.Lock()
        for name in loggers:
            logging.getLogger(name).addFilter(self._said)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Sends spans, which are lost on failure."""
        try:
            result = self._exporter.export(spans)
        except Exception as error:  # noqa: BLE001 - such as a channel that is closed while it sends
            self._said.text = str(error)
            result = SpanExportResult.FAILURE
        failing = result is not SpanExportResult.SUCCESS
        if failing and not self._failing:
            advice = "spans are lost, calls are answered all the same; look whether the collector is there"
            _log.warning("tracing_failing", endpoint=self._endpoint, problem=self._said.text, advice=advice)
        elif self._failing and not failing:
            _log.info("tracing_recovered", endpoint=self._endpoint)
        self._failing = failing
        return result

    def shutdown(self) -> None:
        """Abandons the current export, and sends no more."""
        if self._closed.acquire(blocking=False):
            self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits here."""
        return self._exporter.force_flush(timeout_millis)


class _LastWords(logging.Filter):
    """Keeps the exporter's log messages, for the one line about an outage.

    Attributes:
        text: the last message.
    """

    text = ""

    def filter(self, record: logging.LogRecord) -> bool:
        """Takes a line out of the log."""
        self.text = record.getMessage()
        return False


def _resource(service: str) -> Resource:
    """The resource that sends; the environment takes precedence."""
    known = {
        "service.name": service,
        "service.version": version(),
        "host.name": socket.gethostname(),
    }
    return Resource.create(known).merge(OTELResourceDetector().detect())


def _exporter(protocol: str, endpoint: str) -> SpanExporter:
    """The exporter for a protocol; without an endpoint, for the collector on this machine."""
    if protocol == _GRPC:
        from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as grpc  # noqa: PLC0415 - one of the two

        return grpc.OTLPSpanExporter(endpoint=endpoint or None)
    from opentelemetry.exporter.otlp.proto.http import trace_exporter as http  # noqa: PLC0415 - one of the two

    return http.OTLPSpanExporter(endpoint=endpoint or None)


def _protocol() -> str:
    """The protocol that the environment names; gRPC where none is named.

    Raises:
        TracingError: it is not one of the two.
    """
    name = next((name for name in _PROTOCOLS if os.environ.get(name)), None)
    protocol = os.environ[name] if name is not None else _GRPC
    if protocol not in _LOGGERS:
        raise TracingError(
            f"{name} is {protocol!r}; set it to grpc (the collector's port is 4317 as a rule) or http/protobuf (4318)"
        )
    return protocol


def _checked_endpoint(url: str, protocol: str) -> str:
    """A URL that the exporter takes as it is; for OTLP/HTTP with the usual path where it has none.

    Raises:
        TracingError: it is no URL of a collector, or holds credentials.
    """
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port is not None
    except ValueError:
        good = False
    bare = good and parts.path in ("", "/")
    if not good or parts.query or parts.fragment or not (bare or protocol == _HTTP):
        raise TracingError(
            "the collector's endpoint is no URL of a gRPC server; give one as http://collector:4317 "
            "(with OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf: http://collector:4318)"
        )
    if parts.username is not None:
        raise TracingError("the collector's endpoint holds credentials; put them into OTEL_EXPORTER_OTLP_HEADERS")
    return url.rstrip("/") + _HTTP_PATH if bare and protocol == _HTTP else url
