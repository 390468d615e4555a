"""Status: the source, the tenants with their revisions, and the faults of the definitions."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from loader.faults import Severity

if TYPE_CHECKING:
    from starlette.responses import Response

    from rightcall.console.pages.page import Asked

_MOST_FAULTS = 200


def show(asked: Asked) -> Response:
    """The tenants that the viewer may see, a page of them, and faults with their lines."""
    state, words = asked.book.state(), asked.text("q")
    wanted = words.casefold()
    found = [each for each in state.tenants if wanted in f"{each.name} {each.uuid}".casefold()]
    faults = sorted(state.faults, key=lambda fault: fault.severity is not Severity.ERROR)
    return asked.page(
        "status.html",
        "status",
        state=state,
        words=words,
        paged=asked.paged(found),
        now=time.time(),
        faults=faults[:_MOST_FAULTS],
        more=max(0, len(faults) - _MOST_FAULTS),
        errors=sum(fault.severity is Severity.ERROR for fault in faults),
    )
