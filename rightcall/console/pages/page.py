"""What all pages share: the site, the chosen tenant, the viewer, and the way from a request to a response."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response

from pdp.errors import CallError, Unauthenticated
from pdp.runtime.version import version
from rightcall.console.access import Viewer, is_own

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jinja2 import Environment
    from starlette.datastructures import QueryParams
    from starlette.requests import Request

    from rightcall.console.access import Access
    from rightcall.console.rules import Book, Rules, TenantIndex

_NOBODY: Final = Viewer()
PAGE_SIZE: Final = 50
"""Rows of a list on a page."""
_DIGITS: Final = 10
"""A number of a page has fewer."""
_MOST_TENANTS: Final = 100
"""Tenants in the menu; of more, the page Status has all."""
SECTIONS: Final = {
    "ask": "Ask",
    "people": "People",
    "numbers": "Numbers",
    "rules": "Rules",
    "edit": "Try an edit",
    "changes": "Changes",
    "now": "Now",
    "status": "Status",
}
"""The sections by path, in the order of the menu."""
OPERATED: Final = ("changes", "now")
"""The sections about a running server."""


class Page(NamedTuple):
    """The place of a page in the site.

    Attributes:
        section: the path of the section; empty: none.
        tenant: the UUID of the chosen tenant.
    """

    section: str
    tenant: str


class Paged(NamedTuple):
    """A page of a list.

    Attributes:
        rows: the part of the list on the page.
        total: the length of the list.
        number: the page's number, from 1.
        last: the number of the last page.
    """

    rows: Sequence[Any]
    total: int
    number: int
    last: int


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a page.

    Attributes:
        site: the site.
        book: the rules at this moment.
        index: the chosen tenant; None: the rules have no tenant.
        query: the parameters of the URL.
        form: the submitted form; None: a page was asked for.
        path: the parameters in the path.
        viewer: the person in front of the page.
        partial: whether a part of the page is replaced, instead of the page.
    """

    site: Site
    book: Book
    index: TenantIndex | None
    query: QueryParams
    form: dict[str, str] | None
    path: Mapping[str, str]
    viewer: Viewer
    partial: bool

    def text(self, name: str) -> str:
        """A parameter of the URL without blanks around; empty if missing."""
        return self.query.get(name, "").strip()

    def checked_form(self, allowed: bool) -> dict[str, str]:  # noqa: FBT001 - the condition itself, the only choice
        """The submitted form, of a viewer who may do what it asks for, sent by one of the viewer's own pages.

        Raises:
            HTTPException: the viewer may not, or another page sent it.
        """
        form = self.form or {}
        if not allowed:
            raise HTTPException(403, "You may look here, and change nothing.")
        if not compare_digest(form.get("form_token", "").encode(), self.viewer.form_token.encode()):
            raise HTTPException(403, "This form is not of a page that you opened; open the page again, and try again.")
        return form

    def paged(self, rows: Sequence[Any]) -> Paged:
        """The part of a list that the URL asks for."""
        text = self.text("page")
        wanted = int(text) if text.isascii() and text.isdecimal() and len(text) < _DIGITS else 1
        last = max(1, -(-len(rows) // PAGE_SIZE))
        number = min(max(wanted, 1), last)
        return Paged(rows[(number - 1) * PAGE_SIZE : number * PAGE_SIZE], len(rows), number, last)

    def page(self, template: str, section: str, **values: Any) -> Response:
        """The page of a section, made from a template."""
        return HTMLResponse(self.rendered(template, section, **values))

    def rendered(self, template: str, section: str, **values: Any) -> str:
        """The text of a page, or of a part of one."""
        place = Page(section, self.index.tenant.uuid if self.index else "")
        return self.site.render(template, place, self.book, self.viewer, index=self.index, **values)

    def nothing(self, section: str) -> Response:
        """The page of a section without any rules."""
        return self.page("problem.html", section, problem="There are no rules without faults; Status has the faults.")


class Site:
    """The rules and the templates of the pages.

    Args:
        rules: the rules.
        access: decides who may look.
        environment: the templates.
        root: the path under which the pages stand, without a slash at the end.
        sections: the sections in the menu, by path.
    """

    def __init__(
        self, rules: Rules, access: Access, environment: Environment, root: str, sections: Mapping[str, str]
    ) -> None:
        self.rules = rules
        self.access = access
        self.sections = sections
        self._environment = environment
        self._root = root

    def link(self, path: str, **parameters: str | int | None) -> str:
        """The address of a page with the parameters that are not empty."""
        given = {name: value for name, value in parameters.items() if value not in ("", None)}
        return f"{self._root}{path}?{urlencode(given)}" if given else f"{self._root}{path}"

    def render(
        self, template: str, page: Page, book: Book | None = None, viewer: Viewer = _NOBODY, **values: Any
    ) -> str:
        """A template with the values of the frame and of the page."""
        return self._environment.get_template(template).render(
            page=page,
            sections=self.sections,
            tenants=book.tenants if book else (),
            source=book.name if book else "",
            viewer=viewer,
            version=version(),
            link=self.link,
            most_tenants=_MOST_TENANTS,
            **values,
        )

    def problem(self, text: str, status: int) -> Response:
        """A page with an error."""
        return HTMLResponse(self.render("problem.html", Page("", ""), problem=text), status)

    def answering(self, respond: Callable[[Asked], Response]) -> Callable[[Request], Any]:
        """An endpoint for those who may look, which answers on a thread, since an analysis may take a second."""

        def admitted(site: Site, request: Request, form: dict[str, str] | None) -> Response:
            try:
                with site.access.admitted(request) as viewer:
                    return respond(self.asked(request, form, viewer))
            except Unauthenticated:
                return self._unknown(request)
            except CallError as error:
                return self.problem(error.message, error.code.http_status)

        return self.public(admitted)

    def public(self, respond: Callable[[Site, Request, dict[str, str] | None], Response]) -> Callable[[Request], Any]:
        """An endpoint for everyone."""

        async def endpoint(request: Request) -> Response:
            if not is_own(request):
                return self.problem("Another site sent this form, so it was not looked at.", 403)
            form = None
            if request.method == "POST":
                form = dict(parse_qsl((await request.body()).decode(errors="replace"), keep_blank_values=True))
            return await run_in_threadpool(respond, self, request, form)

        return endpoint

    def asked(self, request: Request, form: dict[str, str] | None, viewer: Viewer) -> Asked:
        """A request with the rules of now.

        Raises:
            HTTPException: the request names a tenant that the viewer cannot see.
        """
        book = self.rules.book()
        named = request.query_params.get("tenant", "").lower()
        chosen = named or (book.tenants[0].uuid if book.tenants else "")
        index = book.index(chosen)
        if index is None and named:
            raise HTTPException(404, "There is no such tenant.")
        partial = "HX-Request" in request.headers
        return Asked(self, book, index, request.query_params, form, request.path_params, viewer, partial)

    def _unknown(self, request: Request) -> Response:
        """The way to the form for those who are not known."""
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        form = self.link("/sign-in", to=wanted if request.method == "GET" else "")
        if "HX-Request" in request.headers:
            return Response(status_code=401, headers={"HX-Redirect": form})
        if request.headers.get("sec-fetch-site") == "cross-site" and request.method == "GET":
            # Browsers keep the cookie back where another site links here; asked by this page, they send it.
            return HTMLResponse(self.render("again.html", Page("", ""), wanted=wanted), 401)
        return RedirectResponse(form, 303)


def iso(seconds: float) -> str:
    """A time for programs, from seconds of Unix time."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def utc(seconds: float) -> str:
    """A time for people, from seconds of Unix time."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
