"""The HTTP port: an asynchronous server on a thread of its own, with limits on what a client may do to it.

uvicorn and Starlette: what most of Python's HTTP services run on, kept, typed, and without dependencies beyond h11 and
anyio. What they leave open is closed here: how many connections there are, and how long one may stay silent.
"""

from __future__ import annotations

import ssl
import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import structlog
import uvicorn
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from pdp.runtime.address import Address, listening_socket, parse_address

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from prometheus_client import CollectorRegistry
    from starlette.requests import Request
    from starlette.types import ASGIApp
    from uvicorn.protocols.http.h11_impl import RequestResponseCycle

_log = structlog.get_logger()

MAX_BODY: Final = 1024 * 1024
"""Bytes of the largest request; more than a thousand questions have."""
CLIENT_CERTIFICATE: Final = "client_certificate"
"""What a request's state calls the certificate of its connection; PEM, or None."""
_SLOWEST_CLIENT_SECONDS = 5.0
"""A request may take so long from its first byte to its last."""
_IDLE_SECONDS = 30
"""A connection may rest so long between two requests."""
_MAX_CONNECTIONS = 128
_MAX_HEAD = 16 * 1024
"""Bytes of a request's line and headers."""
_DRAIN_SECONDS = 5
"""How long answers may still take when the server stops."""


class Readiness(NamedTuple):
    """Whether calls are answered, and a sentence about it."""

    ready: bool
    reason: str


class HttpServer:
    """Serves ``/metrics``, ``/healthz`` and ``/readyz``, and whatever else it is given.

    Args:
        listen: ``HOST:PORT``.
        registry: what ``/metrics`` shows.
        readiness: asked at each ``/readyz``.
        routes: what else there is.
        tls: with what to serve HTTPS; None: plain HTTP.

    Raises:
        ListenError: the address cannot be listened on.
    """

    def __init__(
        self,
        listen: str,
        registry: CollectorRegistry,
        readiness: Callable[[], Readiness],
        routes: Sequence[Route] = (),
        *,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        address = parse_address(listen)
        self._socket = listening_socket(address)
        self.address = str(Address(address.host or "localhost", self._socket.getsockname()[1]))
        self._server = uvicorn.Server(_config(_application([*_pages(registry, readiness), *routes]), tls))
        self._thread = threading.Thread(target=self._serve, name="http", daemon=True)

    def start(self) -> None:
        """Serves; before that, connections wait."""
        self._thread.start()

    def stop(self) -> None:
        """Takes no more requests; those that are being answered are."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        except BaseException:  # noqa: BLE001 - uvicorn ends with SystemExit where it cannot start
            _log.exception("http_server_failed")


def _config(app: ASGIApp, tls: ssl.SSLContext | None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_Connection,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        log_level="critical",  # it reports clients that send garbage, and once more the defects that are logged here
        access_log=False,
        proxy_headers=False,
        server_header=False,
        headers=[("Server", "rightcall"), ("Cache-Control", "no-store")],
        h11_max_incomplete_event_size=_MAX_HEAD,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
        ssl_context_factory=(lambda _config, _default: tls) if tls else None,
    )


class _Connection(H11Protocol):
    """A connection, of which there are not too many and which does not wait for a slow client for ever."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as its base has it
        """Takes the connection, or hangs up where there is no room for one."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, CLIENT_CERTIFICATE: _client_certificate(transport)}
        if len(self.connections) > _MAX_CONNECTIONS:
            transport.abort()
        else:
            self._watch()

    def data_received(self, data: bytes) -> None:
        """Reads on."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the connection."""
        super().connection_lost(exc)
        self._unwatch()

    def on_response_complete(self) -> None:
        """Waits for the next request, as long as an idle connection may."""
        self._unwatch()
        super().on_response_complete()

    def _watch(self) -> None:
        """A request has a deadline from its first byte to its last; the first one, from the connection on."""
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request; its base has it otherwise
        if cycle is not None and not cycle.response_complete and not cycle.more_body:
            self._unwatch()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(_SLOWEST_CLIENT_SECONDS, self.transport.abort)

    def _unwatch(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _client_certificate(transport: asyncio.Transport) -> bytes | None:
    """What a client showed in its handshake, PEM; None: nothing."""
    connection = transport.get_extra_info("ssl_object")
    shown = connection.getpeercert(binary_form=True) if connection is not None else None
    return ssl.DER_cert_to_PEM_cert(shown).encode() if shown else None


def _application(routes: Sequence[Route]) -> Starlette:
    paths = [route.path for route in routes]

    def refused(_request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        text = error.detail
        if error.status_code == 404:  # noqa: PLR2004 - everybody knows this number
            text = f"there is nothing here; see {', '.join(paths[:-1])} and {paths[-1]}"
        return PlainTextResponse(f"{text}\n", error.status_code, error.headers)

    def failed(request: Request, error: Exception) -> Response:
        _log.error("http_request_failed", path=request.url.path, exc_info=error)
        return PlainTextResponse("internal error\n", 500)

    return Starlette(
        routes=routes, exception_handlers={HTTPException: refused, Exception: failed}, max_body_size=MAX_BODY
    )


def _pages(registry: CollectorRegistry, readiness: Callable[[], Readiness]) -> list[Route]:
    """What probes and Prometheus look at. Starlette runs each on a thread, so a slow one keeps nobody waiting."""

    def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"Content-Type": content_type})

    def healthz(_request: Request) -> Response:
        return PlainTextResponse("alive\n")

    def readyz(_request: Request) -> Response:
        ready, reason = readiness()
        return PlainTextResponse(f"{reason}\n", 200 if ready else 503)

    pages: dict[str, Callable[[Request], Any]] = {"/metrics": metrics, "/healthz": healthz, "/readyz": readyz}
    return [Route(path, page) for path, page in pages.items()]
