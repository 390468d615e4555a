"""The site of the console: routes, templates, and the headers that keep foreign scripts out."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from rightcall.console.drawing import pattern_drawing
from rightcall.console.pages import ask, changes, edit, now, numbers, people, permissions, sign_in, status
from rightcall.console.pages.page import OPERATED, SECTIONS, Site, iso, utc

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from rightcall.console.access import Access
    from rightcall.console.operated import Operated
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


def make_site(rules: Rules, access: Access, root: str = "", operated: Operated | None = None) -> Starlette:
    """The pages over some rules, as an ASGI application.

    Args:
        rules: the rules.
        access: decides who may look.
        root: the path under which the pages stand, without a slash at the end.
        operated: the parts of a running server; None: there is no server.
    """
    environment = Environment(
        loader=FileSystemLoader(ROOT / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"iso": iso, "utc": utc, "drawn": pattern_drawing}
    sections = {path: name for path, name in SECTIONS.items() if operated is not None or path not in OPERATED}
    site = Site(rules, access, environment, root, sections)

    def defect(request: Request, error: Exception) -> Response:
        _log.error("console_failed", path=request.url.path, exc_info=error)
        return PlainTextResponse("internal error; the log has more\n", 500)

    def absent(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - for mypy: the handler's only kind
        return site.problem(str(error.detail).replace("Not Found", "There is no such page."), error.status_code)

    def home(_request: Request) -> Response:
        return RedirectResponse(site.link("/ask"))

    routes = [
        Route("/", home),
        Route("/ask", site.answering(ask.show)),
        Route("/people", site.answering(people.search)),
        Route("/people/{uuid}", site.answering(partial(people.show, operated=operated))),
        Route("/numbers", site.answering(numbers.show)),
        Route("/numbers.csv", site.answering(numbers.download)),
        Route("/rules", site.answering(permissions.show)),
        Route("/edit", site.answering(edit.show), methods=["GET", "POST"]),
        Route("/status", site.answering(status.show)),
        *(_operated_routes(site, operated) if operated is not None else ()),
        Route("/sign-in", site.public(sign_in.show), methods=["GET", "POST"]),
        Route("/sign-out", site.public(sign_in.leave), methods=["POST"]),
        Mount("/static", StaticFiles(directory=ROOT / "static")),
    ]
    middleware = [
        Middleware(_Guarded, answers=access.answers),
    ]
    return Starlette(
        routes=routes,
        middleware=middleware,
        exception_handlers={HTTPException: absent, Exception: defect},
        max_body_size=MAX_BODY,
    )


def _operated_routes(site: Site, operated: Operated) -> list[Route]:
    """The pages about a running server."""
    routes = {
        "/changes": (changes.show, "GET"),
        "/changes/roll-back": (changes.roll_back, "POST"),
        "/changes/unpin": (changes.unpin, "POST"),
        "/now": (now.show, "GET"),
        "/unlock": (people.unlock, "POST"),
    }
    return [
        *(
            Route(path, site.answering(partial(respond, operated=operated)), methods=[method])
            for path, (respond, method) in routes.items()
        ),
        Route("/now/stream", now.Follower(site, operated).stream),
    ]


class _Guarded:
    """Adds the security headers to every response; requests under foreign names get no other.

    Args:
        app: answers the requests.
        answers: whether requests under the name of a host are answered.
    """

    def __init__(self, app: ASGIApp, answers: Callable[[str], bool]) -> None:
        self._application = app
        self._answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers: list[Any] = [*message.get("headers", ()), *_HEADERS]
                message = {**message, "headers": headers}
            await send(message)

        host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
        foreign = PlainTextResponse("these pages are not found under this host's name\n", 400)
        await (self._application if self._answers(host) else foreign)(scope, receive, guarded)
