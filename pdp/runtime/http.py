"""The HTTP port: an asynchronous server on a separate thread, with limits on clients.

uvicorn and Starlette: used by most of Python's HTTP services, kept, typed, and without dependencies beyond h11 and
anyio. The limits that both lack are added here: number of connections, and time without traffic.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import structlog
import uvicorn
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from pdp.runtime.address import Address, listening_socket, parse_address
from pdp.runtime.http_connections import CLIENT_CERTIFICATE, RESERVED, Connection, HttpLimits, Policy

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence

    from prometheus_client import CollectorRegistry
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["CLIENT_CERTIFICATE", "HttpLimits", "HttpServer", "Readiness", "origin_of"]

_log = structlog.get_logger()

MAX_BODY: Final = 1024 * 1024
"""Bytes of the largest request; more than a thousand evaluations have."""
PROBES: Final = ("/metrics", "/healthz", "/readyz")
"""The paths answered on connections of the reserve as well."""
_BACKLOG = 1024
_REQUEST_ID: Final = b"x-request-id"
"""The header that AuthZEN requires in every response."""
_MAX_HEAD = 16 * 1024
"""Bytes of a request's line and headers."""
_DRAIN_SECONDS = 5
"""Seconds for responses under way when the server stops."""


class Readiness(NamedTuple):
    """Whether calls are answered, and a sentence that says why."""

    ready: bool
    reason: str


_LIMITS: Final = HttpLimits()


def _ignore(_reason: str) -> None:
    """Counts nothing."""


def _always() -> bool:
    """A program with nothing that could be stuck."""
    return True


class HttpServer:
    """Serves ``/metrics``, ``/healthz`` and ``/readyz``, and further routes.

    Args:
        listen: ``HOST:PORT``.
        registry: the metrics of ``/metrics``.
        readiness: called at each ``/readyz``.
        routes: further routes.
        tls: context for HTTPS; None: plain HTTP.
        limits: limits of connections.
        closed: counts a connection that is closed, by reason.
        alive: called at each ``/healthz``.

    Raises:
        ListenError: the address cannot be listened on.
    """

    def __init__(
        self,
        listen: str,
        registry: CollectorRegistry,
        readiness: Callable[[], Readiness],
        routes: Sequence[Route | Mount] = (),
        *,
        tls: ssl.SSLContext | None = None,
        limits: HttpLimits = _LIMITS,
        closed: Callable[[str], None] = _ignore,
        alive: Callable[[], bool] = _always,
    ) -> None:
        address = parse_address(listen)
        self._socket = listening_socket(address, _BACKLOG)
        self.address = str(Address(address.host or "localhost", self._socket.getsockname()[1]))
        self._policy = Policy(limits, closed)
        self._scrapes = _Scrapes(registry)
        application = _Doorway(_application([*_pages(self._scrapes, readiness, alive), *routes]))
        self._server = uvicorn.Server(_config(application, tls, limits, self._policy))
        self._thread = threading.Thread(target=self._serve, name="http", daemon=True)

    def start(self) -> None:
        """Serves; before that, connections wait."""
        self._thread.start()

    def stop(self) -> None:
        """Takes no more requests; those that are being answered are."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join()
        self._scrapes.release()
        self._socket.close()

    @property
    def connections(self) -> int:
        """The open connections."""
        return self._policy.count

    def _serve(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        except BaseException:  # noqa: BLE001 - uvicorn ends with SystemExit where it cannot start
            _log.exception("http_server_failed")


def origin_of(request: Request) -> str:
    """The address of the client, in gRPC's form without the port."""
    host = request.client.host if request.client else ""
    return f"ipv6:[{host}]" if ":" in host else f"ipv4:{host}"


def _config(app: ASGIApp, tls: ssl.SSLContext | None, limits: HttpLimits, policy: Policy) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=type("_Connection", (Connection,), {"policy": policy}),
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
        timeout_keep_alive=limits.keep_alive,  # type: ignore[arg-type] # it takes fractions
        backlog=_BACKLOG,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
        ssl_context_factory=(lambda _config, _default: tls) if tls else None,
    )


def _application(routes: Sequence[Route | Mount]) -> Starlette:
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


class _Doorway:
    """The middleware for every request.

    The request's id is sent back, the path may begin with more than one slash, and on a connection of the reserve
    probes alone are answered.

    Args:
        application: answers the requests.
    """

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        path = "/" + str(scope["path"]).lstrip("/")
        scope = {**scope, "path": path}
        given = next((value for name, value in scope["headers"] if name == _REQUEST_ID), None)

        async def echo(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (_REQUEST_ID, given)]}
            await send(message)

        answer = send if given is None else echo
        if scope.get("state", {}).get(RESERVED) and path not in PROBES:
            full = PlainTextResponse("too many connections; ask another server\n", 503, {"Connection": "close"})
            await full(scope, receive, answer)
        else:
            await self._application(scope, receive, answer)


class _Scrapes:
    """Makes pages of metrics on a separate thread, one page for all waiting requests.

    Args:
        registry: the metrics.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="metrics")
        self._next: dict[str, Future[bytes]] = {}
        """Pages that are not begun yet, by type."""

    async def page(self, request: Request) -> Response:
        """The metrics, read after the request's arrival."""
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        page = self._next.get(content_type)
        if page is None:
            page = self._next[content_type] = Future()
            self._pool.submit(self._make, content_type, encode, page)
        # One who hangs up does not take the page from the others.
        made = await asyncio.shield(asyncio.wrap_future(page))
        return Response(made, headers={"Content-Type": content_type})

    def _make(self, content_type: str, encode: Callable[[CollectorRegistry], bytes], page: Future[bytes]) -> None:
        del self._next[content_type]
        try:
            page.set_result(encode(self._registry))
        except Exception as error:  # noqa: BLE001 - any error goes to the waiting requests
            page.set_exception(error)

    def release(self) -> None:
        """Lets the thread go."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _pages(scrapes: _Scrapes, readiness: Callable[[], Readiness], alive: Callable[[], bool]) -> list[Route]:
    """The routes for probes and Prometheus. None waits for the threads of other requests, which may all be held."""

    async def healthz(_request: Request) -> Response:
        return PlainTextResponse("alive\n") if alive() else PlainTextResponse("threads are stuck\n", 503)

    async def readyz(_request: Request) -> Response:
        ready, reason = readiness()
        return PlainTextResponse(f"{reason}\n", 200 if ready else 503)

    pages: dict[str, Callable[[Request], Any]] = {"/metrics": scrapes.page, "/healthz": healthz, "/readyz": readyz}
    return [Route(path, page) for path, page in pages.items()]
