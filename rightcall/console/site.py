"""The site of the console: routes, templates, and the headers that keep foreign scripts out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from rightcall.console.pages import ask, edit, numbers, people, permissions, status
from rightcall.console.pages.page import Page, Site

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from rightcall.console.rules import Rules

_log = structlog.get_logger()

ROOT: Final = Path(__file__).parent
MAX_BODY: Final = 4 * 1024 * 1024
"""Bytes of the largest text to try."""
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
)


def make_site(rules: Rules, hosts: Sequence[str]) -> Starlette:
    """The pages over some rules, as an ASGI application.

    Args:
        rules: the rules.
        hosts: the names under which browsers may ask; a page of a foreign site, whose name a resolver points here,
            gets nothing.
    """
    environment = Environment(
        loader=FileSystemLoader(ROOT / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    site = Site(rules, environment)

    def defect(request: Request, error: Exception) -> Response:
        _log.error("console_failed", path=request.url.path, exc_info=error)
        return PlainTextResponse("internal error; the log has more\n", 500)

    def absent(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - for mypy: the handler's only kind
        page = Page("", request.query_params.get("tenant", ""))
        text = "There is no such page." if error.status_code == 404 else error.detail  # noqa: PLR2004
        return HTMLResponse(site.render("problem.html", page, problem=text), error.status_code)

    def home(_request: Request) -> Response:
        return RedirectResponse("/ask")

    routes = [
        Route("/", home),
        Route("/ask", site.answering(ask.show)),
        Route("/people", site.answering(people.search)),
        Route("/people/{uuid}", site.answering(people.show)),
        Route("/numbers", site.answering(numbers.show)),
        Route("/numbers.csv", site.answering(numbers.download)),
        Route("/rules", site.answering(permissions.show)),
        Route("/edit", site.answering(edit.show), methods=["GET", "POST"]),
        Route("/status", site.answering(status.show)),
        Mount("/static", StaticFiles(directory=ROOT / "static")),
    ]
    middleware = [
        Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False),
        Middleware(_Guarded),
    ]
    return Starlette(
        routes=routes,
        middleware=middleware,
        exception_handlers={HTTPException: absent, Exception: defect},
        max_body_size=MAX_BODY,
    )


class _Guarded:
    """Adds the security headers to every response.

    Args:
        application: answers the requests.
    """

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers: list[Any] = [*message.get("headers", ()), *_HEADERS]
                message = {**message, "headers": headers}
            await send(message)

        await self._application(scope, receive, guarded)
