"""Now: the latest decisions, refused calls and lockouts."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, StreamingResponse

from pdp.errors import CallError
from pdp.security.identity import ASKING
from rightcall import v1
from rightcall.client.lockouts import Lockouts, to_lockouts
from rightcall.client.values import Decision

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

    from rightcall.console.operated import Operated
    from rightcall.console.pages.page import Asked, Site

_MOST_VIEWERS: Final = 64
"""Pages that follow the decisions at the same time; further ones show those of the moment."""
_TURN_SECONDS: Final = 1.0
_STEP_SECONDS: Final = 0.25
_MOST_LOCKOUTS: Final = 1000


def show(asked: Asked, operated: Operated) -> Response:
    """The page with the decisions of the moment."""
    if asked.index is None:
        return asked.nothing("now")
    return asked.page("now.html", "now", **_values(asked, operated), follows=asked.text("follow") != "no")


class Follower:
    """Sends the part of the page that changes, once a second while there is something new.

    Args:
        site: the site.
        operated: the parts of the server.
    """

    def __init__(self, site: Site, operated: Operated) -> None:
        self._site = site
        self._operated = operated
        self._viewers = 0
        self._made: dict[tuple[str, ...], tuple[float, str]] = {}

    async def stream(self, request: Request) -> Response:
        """The events of one viewer."""
        if self._viewers >= _MOST_VIEWERS or self._operated.stopping():
            return PlainTextResponse("too many pages follow the decisions\n", 503, {"Retry-After": "30"})
        first = await run_in_threadpool(self._part, request)
        if first is None:
            return PlainTextResponse("open the page again\n", 401)
        return StreamingResponse(self._events(request, first), media_type="text/event-stream")

    async def _events(self, request: Request, part: str | None) -> AsyncIterator[str]:
        self._viewers += 1
        sent = None
        try:
            while part is not None:
                # A comment where nothing is new: who hung up is noticed.
                yield f"event: now\n{_data(part)}\n\n" if part != sent else ": quiet\n\n"
                sent = part
                if not await self._turn():
                    break
                part = await run_in_threadpool(self._part, request)
        finally:
            self._viewers -= 1

    async def _turn(self) -> bool:
        """Waits for the next turn; False: the server stops."""
        for _ in range(round(_TURN_SECONDS / _STEP_SECONDS)):
            await asyncio.sleep(_STEP_SECONDS)
            if self._operated.stopping():
                return False
        return True

    def _part(self, request: Request) -> str | None:
        """The part of the page; None: the viewer may not look any more. Viewers of one tenant share the part."""
        try:
            with self._site.access.admitted(request) as viewer:
                asked = self._site.asked(request, None, viewer)
                if asked.index is None:
                    return None
                # Buttons to unlock are of one viewer; all else is alike for all who see the same tenants.
                own = viewer.form_token if viewer.may_unlock else ""
                key = asked.index.tenant.uuid, str(_sees_all()), asked.text("only"), own
                made = self._made.get(key)
                if made is None or time.monotonic() - made[0] >= _TURN_SECONDS / 2:
                    made = time.monotonic(), asked.rendered("now_part.html", "now", **_values(asked, self._operated))
                    if len(self._made) >= _MOST_VIEWERS:
                        self._made = {}
                    self._made[key] = made
                return made[1]
        except (CallError, HTTPException):
            return None


def _values(asked: Asked, operated: Operated) -> dict[str, Any]:
    """The values of the part that changes."""
    assert asked.index is not None  # noqa: S101 - for mypy: the callers have looked
    tenant, only = asked.index.tenant.uuid, asked.text("only")
    whole, live = _sees_all(), operated.live
    return {
        "decisions": live.decisions(tenant, refused=only == "refused", others=whole),
        "rates": live.rates() if whole else None,
        "refusing": live.refusing(tenant)[:20],
        "lockouts": locked_out(operated, tenant),
        "only": only,
        "by_name": Decision.__members__,
    }


def _sees_all() -> bool:
    """Whether the viewer may see all tenants, and so the counts of all together."""
    client = ASKING.get()
    return client is None or client.tenants is None


def locked_out(operated: Operated, tenant: str) -> Lockouts:
    """The lockouts of a tenant; none where they cannot be known."""
    try:
        request = v1.ListLockoutsRequest(tenant=tenant, limit=_MOST_LOCKOUTS)
        return to_lockouts(operated.lockouts.list_lockouts(request))
    except CallError:
        return Lockouts((), (), more=False)


def _data(text: str) -> str:
    """A text as the data of an event, line by line."""
    return "\n".join(f"data: {line}" for line in text.splitlines())
