"""Ask: may this caller dial this number, and why?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.rules.analysis.lookup import UnclearError
from rightcall.client.errors import RightcallError

if TYPE_CHECKING:
    from starlette.responses import Response

    from rightcall.console.pages.page import Asked
    from rightcall.console.rules import TenantIndex

_MOST_NAMES = 200
"""Names that the browser proposes while a caller is typed; of more, the page People searches."""


def show(asked: Asked) -> Response:
    """The form; with a number, the decision on the call below it."""
    index = asked.index
    if index is None:
        return asked.nothing("ask")
    caller, number, outcall = (asked.text(name) for name in ("caller", "number", "outcall"))
    explanation, problem = None, ""
    if number:
        try:
            explanation = asked.site.rules.engine.explain(**_call(index, caller, number, outcall))
        except (UnclearError, RightcallError) as error:
            problem = str(error)
    return asked.page(
        "ask.html",
        "ask",
        caller=caller,
        number=number,
        outcall=outcall,
        explanation=explanation,
        problem=problem,
        who=_who(index, caller),
        names=[user.name or user.extension for user in index.tenant.users[:_MOST_NAMES] if user.name or user.extension],
    )


def _call(index: TenantIndex, caller: str, number: str, outcall: str) -> dict[str, str]:
    """The call with ids for names."""
    return {
        "extension": number,
        "caller": index.lookup.caller(caller),
        "outcall": index.lookup.outcall(outcall, index.tenant),
        "tenant": index.tenant.uuid,
    }


def _who(index: TenantIndex, caller: str) -> str:
    """The UUID of the caller, if known."""
    try:
        return index.lookup.caller(caller)
    except UnclearError:
        return ""
