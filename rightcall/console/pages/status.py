"""Status: the tenants, their rules, and the faults of the definitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loader.faults import Severity

if TYPE_CHECKING:
    from starlette.responses import Response

    from rightcall.console.pages.page import Asked

_MOST_FAULTS = 200


def show(asked: Asked) -> Response:
    """The whole source: tenants without faults, and faults with their lines."""
    reading = asked.book.reading
    faults = sorted(reading.faults, key=lambda fault: fault.severity is not Severity.ERROR)
    return asked.page(
        "status.html",
        "status",
        reading=reading,
        faults=faults[:_MOST_FAULTS],
        more=max(0, len(faults) - _MOST_FAULTS),
        errors=sum(fault.severity is Severity.ERROR for fault in faults),
    )
