"""Numbers: the callers that may dial one, those that may not, and those that need a PIN."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from starlette.responses import Response

from pdp.rules.analysis.lookup import UnclearError
from pdp.rules.model import Decision
from rightcall.client.errors import RightcallError

if TYPE_CHECKING:
    from pdp.rules.snapshot.verdict import Verdict
    from rightcall.console.pages.page import Asked
    from rightcall.console.rules import TenantIndex

_SHOWN = 100
"""Callers of each decision on the page; the download has all."""
_ORDER = (Decision.ALLOW, Decision.CHALLENGE, Decision.DENY)


def show(asked: Asked) -> Response:
    """The form; with a number, the users by decision."""
    index = asked.index
    if index is None:
        return asked.nothing("numbers")
    number, outcall = asked.text("number"), asked.text("outcall")
    by_decision: dict[Decision, list[tuple[str, Verdict]]] = {}
    problem = ""
    if number:
        try:
            found = _found(asked, index)
            by_decision = {decision: [] for decision in _ORDER}
            for each in found:
                by_decision[each[1].decision].append(each)
        except (UnclearError, RightcallError) as error:
            problem = str(error)
    return asked.page(
        "numbers.html",
        "numbers",
        number=number,
        outcall=outcall,
        by_decision=by_decision,
        problem=problem,
        shown=_SHOWN,
    )


def download(asked: Asked) -> Response:
    """All users with their decisions, as CSV."""
    if asked.index is None:
        return asked.nothing("numbers")
    try:
        found = _found(asked, asked.index)
    except (UnclearError, RightcallError) as error:
        return Response(f"{error}\n", 400, media_type="text/plain")
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(("caller", "name", "extension", "decision", "stage", "permission"))
    for caller, verdict in found:
        user = asked.index.users[caller]
        permission = verdict.permission_name or str(verdict.permission_id or "")
        values = (caller, user.name, user.extension, verdict.decision.name, verdict.stage.name, permission)
        rows.writerow(map(_literal, values))
    headers = {"Content-Disposition": 'attachment; filename="callers.csv"'}
    return Response(text.getvalue(), headers=headers, media_type="text/csv")


def _found(asked: Asked, index: TenantIndex) -> list[tuple[str, Verdict]]:
    outcall = index.lookup.outcall(asked.text("outcall"), index.tenant)
    engine = asked.site.rules.engine
    return engine.verdicts(extension=asked.text("number"), outcall=outcall, tenant=index.tenant.uuid)


def _literal(text: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
