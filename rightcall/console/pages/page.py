"""What all pages share: the site, the chosen tenant, and the way from a request to a response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, Response

from pdp.runtime.version import version

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jinja2 import Environment
    from starlette.datastructures import QueryParams
    from starlette.requests import Request

    from rightcall.console.rules import Book, Rules, TenantIndex

SECTIONS: Final = {
    "ask": "Ask",
    "people": "People",
    "numbers": "Numbers",
    "rules": "Rules",
    "edit": "Try an edit",
    "status": "Status",
}
"""The sections by path, in the order of the menu."""


class Page(NamedTuple):
    """The place of a page in the site.

    Attributes:
        section: the path of the section; empty: none.
        tenant: the UUID of the chosen tenant.
    """

    section: str
    tenant: str


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
        partial: whether a part of the page is replaced, instead of the page.
    """

    site: Site
    book: Book
    index: TenantIndex | None
    query: QueryParams
    form: dict[str, str] | None
    path: Mapping[str, str]
    partial: bool

    def text(self, name: str) -> str:
        """A parameter of the URL without blanks around; empty if missing."""
        return self.query.get(name, "").strip()

    def page(self, template: str, section: str, **values: Any) -> Response:
        """The page of a section, made from a template."""
        place = Page(section, self.index.tenant.uuid if self.index else "")
        return HTMLResponse(self.site.render(template, place, self.book, index=self.index, **values))

    def nothing(self, section: str) -> Response:
        """The page of a section without any rules."""
        return self.page("problem.html", section, problem="There are no rules without faults; Status has the faults.")


class Site:
    """The rules and the templates of the pages.

    Args:
        rules: the rules.
        environment: the templates.
    """

    def __init__(self, rules: Rules, environment: Environment) -> None:
        self.rules = rules
        self._environment = environment

    def render(self, template: str, page: Page, book: Book | None = None, **values: Any) -> str:
        """A template with the values of the frame and of the page."""
        shown = book or self.rules.book()
        return self._environment.get_template(template).render(
            page=page,
            sections=SECTIONS,
            tenants=shown.tenants,
            source=self.rules.name,
            version=version(),
            link=link,
            **values,
        )

    def answering(self, respond: Callable[[Asked], Response]) -> Callable[[Request], Any]:
        """An endpoint that answers on a thread, since an analysis may take a second."""

        async def endpoint(request: Request) -> Response:
            form = (
                dict(parse_qsl((await request.body()).decode(errors="replace"))) if request.method == "POST" else None
            )
            return await run_in_threadpool(lambda: respond(self._asked(request, form)))

        return endpoint

    def _asked(self, request: Request, form: dict[str, str] | None) -> Asked:
        book = self.rules.book()
        index = book.index(request.query_params.get("tenant", ""))
        partial = "HX-Request" in request.headers
        return Asked(self, book, index, request.query_params, form, request.path_params, partial)


def link(path: str, **parameters: str | int | None) -> str:
    """A path with the parameters that are not empty."""
    given = {name: value for name, value in parameters.items() if value not in ("", None)}
    return f"{path}?{urlencode(given)}" if given else path
