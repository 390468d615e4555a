"""Sign in: a form for a token, kept in a cookie that scripts and other sites never see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, RedirectResponse

from pdp.errors import CallError
from rightcall.console.access import COOKIE
from rightcall.console.pages.page import Page

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from rightcall.console.pages.page import Site

_SEE_OTHER = 303


def show(site: Site, request: Request, form: dict[str, str] | None) -> Response:
    """The form; of a submitted one, the page that was wanted, or the form with the reason."""
    wanted = (form if form is not None else request.query_params).get("to", "")
    problem, status = "", 200
    if form is not None:
        token = form.get("token", "").strip()
        try:
            with site.access.admitted(request, token or "none"):
                return _signed_in(site, request, token, wanted)
        except CallError as error:
            problem, status = error.message, error.code.http_status
    text = site.render("sign_in.html", Page("", ""), to=wanted, problem=problem, takes_tokens=site.access.takes_tokens)
    return HTMLResponse(text, status)


def leave(site: Site, _request: Request, _form: dict[str, str] | None) -> Response:
    """Forgets the token."""
    response = RedirectResponse(site.link("/sign-in"), _SEE_OTHER)
    response.delete_cookie(COOKIE, path=site.link("/"))
    return response


def _signed_in(site: Site, request: Request, token: str, wanted: str) -> Response:
    # Of the site's own pages alone: a link to the form must not lead elsewhere.
    within = wanted.startswith(site.link("/")) and "\\" not in wanted and "//" not in wanted
    response = RedirectResponse(wanted if within else site.link("/"), _SEE_OTHER)
    response.set_cookie(
        COOKIE,
        token,
        path=site.link("/"),
        secure=site.access.is_secure(request),
        httponly=True,
        samesite="strict",
    )
    return response
