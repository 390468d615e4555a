"""The console on the HTTP port of a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.responses import RedirectResponse
from starlette.routing import Mount, Route

from rightcall.console.access import ServedAccess
from rightcall.console.live import Live
from rightcall.console.operated import Operated
from rightcall.console.served import ServedRules
from rightcall.console.site import make_site

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from pdp.app import ServerParts
    from rightcall.programs.serving import Served

ROOT: Final = "/console"


def mounted(parts: ServerParts, served: Served) -> list[Route | Mount]:
    """The pages over the rules of a server.

    Args:
        parts: the server's.
        served: the revisions and the faults of the rules.
    """
    rules = ServedRules(parts, served.faults)
    live = Live(parts.metrics)
    if parts.decision_log is not None:
        parts.decision_log.watch(live.take)
    operated = Operated(served.history, parts.lockouts, live, parts.stopping)
    site = make_site(rules, ServedAccess(parts), ROOT, operated)
    return [Route(ROOT, _home), Mount(ROOT, site)]


def _home(_request: Request) -> Response:
    # Without a host, which a proxy in front may know better.
    return RedirectResponse(f"{ROOT}/")
