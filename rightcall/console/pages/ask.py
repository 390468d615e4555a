"""Ask: may this caller dial this number, and why?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.rules.analysis.lookup import UnclearError
from pdp.rules.snapshot.walk import walks
from rightcall.client.errors import RightcallError
from rightcall.client.values import Stage
from rightcall.console.drawing import stage_name, walk_drawing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markupsafe import Markup
    from starlette.responses import Response

    from rightcall.client.values import Explanation
    from rightcall.console.pages.page import Asked
    from rightcall.console.rules import TenantIndex

_MOST_FORMS = 3
"""Forms of a number whose walks are drawn."""
_MOST_NAMES = 200
"""Names that the browser proposes while a caller is typed; of more, the page People searches."""


def show(asked: Asked) -> Response:
    """The form; with a number, the decision on the call below it."""
    index = asked.index
    if index is None:
        return asked.nothing("ask")
    caller, number, outcall = (asked.text(name) for name in ("caller", "number", "outcall"))
    explanation, problem = None, ""
    who = _who(index, caller)
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
        numbers=_numbers(index, number) if explanation else (),
        drawings=list(_drawings(index, explanation, (who, number, outcall))) if explanation else (),
        problem=problem,
        who=who,
        names=[user.name or user.extension for user in index.tenant.users[:_MOST_NAMES] if user.name or user.extension],
    )


def _numbers(index: TenantIndex, number: str) -> Sequence[str]:
    """The numbers that an extension may be, in international form, where the tenant has a dialling plan."""
    plan = index.snapshot.dialling if index.snapshot is not None else None
    return plan.numbers(number) if plan is not None else ()


def _drawings(
    index: TenantIndex, explanation: Explanation, call: tuple[str, str, str]
) -> Iterator[tuple[str, str, Markup]]:
    """The walks of a call, each with whose permissions it is through and with the form of the number."""
    if index.snapshot is None or explanation.answer.stage in (Stage.EMERGENCY, Stage.POLICY):
        return
    caller, number, outcall = call
    through = index.lookup.outcall(outcall, index.tenant)
    for form in (explanation.forms or (number,))[:_MOST_FORMS]:
        for walk in walks(index.snapshot, caller, form, through):
            yield stage_name(walk), form, walk_drawing(walk)


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
