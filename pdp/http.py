"""Metrics and health over HTTP, for Prometheus and orchestrators."""

from __future__ import annotations

import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog
from prometheus_client.exposition import choose_encoder

from pdp.address import Address, listen_error, parse_address

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry

_log = structlog.get_logger()

_PLAIN = "text/plain; charset=utf-8"
_SLOWEST_CLIENT_SECONDS = 5.0
_POLL_SECONDS = 0.1
"""How long a stop may go unnoticed."""
_MAX_CONNECTIONS = 32


class Readiness(NamedTuple):
    """Whether calls are answered, and a sentence about it."""

    ready: bool
    reason: str


class HttpServer:
    """Serves ``/metrics``, ``/healthz`` and ``/readyz``, on threads of its own.

    Args:
        listen: ``HOST:PORT``.
        registry: what ``/metrics`` shows.
        readiness: asked at each ``/readyz``.

    Raises:
        ListenError: the address cannot be listened on.
    """

    def __init__(self, listen: str, registry: CollectorRegistry, readiness: Callable[[], Readiness]) -> None:
        address = parse_address(listen)
        family, socket_address = address.socket_addresses()[0]
        pages = _Pages(registry, readiness)
        try:
            self._server = _Server(family, socket_address, pages)
        except OSError as error:
            raise listen_error(address, error) from None
        self.address = str(Address(address.host or "localhost", self._server.server_address[1]))
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_SECONDS,), name="http", daemon=True
        )

    def start(self) -> None:
        """Serves; before that, connections wait."""
        self._thread.start()

    def stop(self) -> None:
        """Takes no more requests."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()


class _Page(NamedTuple):
    status: HTTPStatus
    content_type: str
    body: bytes


class _Pages:
    """What there is to see."""

    def __init__(self, registry: CollectorRegistry, readiness: Callable[[], Readiness]) -> None:
        self._registry = registry
        self._readiness = readiness

    def get(self, path: str, accept: str) -> _Page:
        """The page at a path, in a form that the client accepts."""
        if path == "/metrics":
            encode, content_type = choose_encoder(accept)
            return _Page(HTTPStatus.OK, content_type, encode(self._registry))
        if path == "/healthz":
            return _text(HTTPStatus.OK, "alive")
        if path == "/readyz":
            ready, reason = self._readiness()
            return _text(HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE, reason)
        return _text(HTTPStatus.NOT_FOUND, "there is nothing here; see /metrics, /healthz and /readyz")


def _text(status: HTTPStatus, line: str) -> _Page:
    return _Page(status, _PLAIN, f"{line}\n".encode())


class _Server(ThreadingMixIn, TCPServer):
    """A thread a connection, a request a connection, and no more connections than there can honestly be."""

    allow_reuse_address = True
    request_queue_size = 128
    daemon_threads = True
    block_on_close = False

    def __init__(self, family: int, address: tuple[Any, ...], pages: _Pages) -> None:
        self.address_family = family
        self.pages = pages
        self._room = threading.BoundedSemaphore(_MAX_CONNECTIONS)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Starts a thread, or hangs up where there is no room for one."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serves one connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Notes that a client went away in the middle, in place of a traceback on the terminal."""
        del request
        _log.debug("http_connection_failed", client=str(client_address), exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _SLOWEST_CLIENT_SECONDS

    def do_GET(self) -> None:
        """Answers with a page."""
        self._send(with_body=True)

    def do_HEAD(self) -> None:
        """Answers with a page's headers."""
        self._send(with_body=False)

    def _send(self, *, with_body: bool) -> None:
        try:
            page = self.server.pages.get(self.path.partition("?")[0], self.headers.get("Accept", ""))
        except Exception:  # noqa: BLE001 - a defect in one answer must not end the server
            _log.exception("http_request_failed", path=self.path)
            page = _text(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error")
        self.send_response(page.status)
        self.send_header("Content-Type", page.content_type)
        self.send_header("Content-Length", str(len(page.body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if with_body:
            self.wfile.write(page.body)

    def version_string(self) -> str:
        """The Server header, without the versions of what is inside."""
        return "rightcall"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Keeps probes and scrapes out of the log."""
        _log.debug("http_request", client=self.client_address[0], message=format % args)
