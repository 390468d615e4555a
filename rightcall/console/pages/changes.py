"""Changes: the revisions of a tenant, what each one changed, and the way back to one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import structlog
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from pdp.security.identity import client_name
from rightcall.console.findings import difference
from rightcall.programs.comparable import comparable
from rightcall.programs.history import HistoryError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.responses import Response

    from rightcall.console.findings import Difference
    from rightcall.console.operated import Operated
    from rightcall.console.pages.page import Asked
    from rightcall.programs.history import Entry

_log = structlog.get_logger()


class _Compared(NamedTuple):
    """A revision beside others.

    Attributes:
        entry: the revision.
        made: what it changed; None: the revision before is not kept.
        back: what going back to it would change; None: it is the current one.
    """

    entry: Entry
    made: Difference | None
    back: Difference | None


def show(asked: Asked, operated: Operated) -> Response:
    """The revisions; of the chosen one, else of the newest, what it changed."""
    index = asked.index
    if index is None:
        return asked.nothing("changes")
    entries: Sequence[Entry] = ()
    compared, problem = None, ""
    try:
        entries = operated.history.entries(index.tenant.uuid)
        compared = _compared(asked, operated, entries)
    except HistoryError as error:
        problem = str(error)
    return asked.page(
        "changes.html",
        "changes",
        entries=entries,
        compared=compared,
        problem=problem,
        done=asked.text("done"),
        may_roll_back=operated.history.rolls_back and asked.viewer.may_roll_back,
        rolls_back=operated.history.rolls_back,
    )


def roll_back(asked: Asked, operated: Operated) -> Response:
    """Makes an earlier revision current."""
    return _changed(asked, operated.history.roll_back, "tenant_rolled_back")


def unpin(asked: Asked, operated: Operated) -> Response:
    """Lets loaders publish a tenant again."""

    def unpinned(tenant: str, _revision: str) -> None:
        operated.history.unpin(tenant)

    return _changed(asked, unpinned, "tenant_unpinned")


def _changed(asked: Asked, change: Callable[[str, str], None], event: str) -> Response:
    """Changes something about the revision that a form names, and shows the revisions.

    Raises:
        HTTPException: the viewer may not do that, or there is no such tenant.
    """
    form = asked.checked_form(asked.viewer.may_roll_back)
    index = asked.book.index(form.get("tenant", ""))
    if index is None:
        raise HTTPException(404, "There is no such tenant.")
    tenant, revision = index.tenant.uuid, form.get("revision", "")
    try:
        change(tenant, revision)
    except HistoryError as error:
        return asked.page("problem.html", "changes", problem=str(error))
    _log.warning(event, tenant=tenant, revision=revision, client=client_name())
    return RedirectResponse(asked.site.link("/changes", tenant=tenant, done=event, revision=revision), 303)


def _compared(asked: Asked, operated: Operated, entries: Sequence[Entry]) -> _Compared | None:
    """The revision that the URL names, else the newest, beside the one before and the current one."""
    wanted = asked.text("revision")
    at = next((at for at, entry in enumerate(entries) if entry.revision == wanted), None if wanted else 0)
    if at is None:
        raise HTTPException(404, "There is no such revision.")
    if not entries:
        return None
    tenant = asked.index.tenant.uuid if asked.index else ""
    chosen = entries[at]
    current = next((entry for entry in entries if entry.current), chosen)

    def between(old: Entry, new: Entry) -> Difference:
        before, now = (operated.history.content(tenant, each.revision) for each in (old, new))
        return difference(*comparable(before, now, None)[:2], asked.site.rules.assumed)

    return _Compared(
        chosen,
        between(entries[at + 1], chosen) if at + 1 < len(entries) else None,
        between(current, chosen) if current is not chosen else None,
    )
