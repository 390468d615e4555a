"""Checks of a loader and the definitions, by the loader's metrics."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from rightcall.doctor.findings import NotExamined, counted, failure, ok, warning
from rightcall.doctor.http import unread

if TYPE_CHECKING:
    from rightcall.doctor.findings import Finding
    from rightcall.doctor.http import HttpPart

_LATE_SECONDS: Final = 900.0
"""As of the alert RightcallPublishingFails."""


def check_lead(loader: HttpPart) -> Finding:
    """Checks whether the loader leads, and the time of the last good cycle."""
    leading = loader.value("rightcall_loader_leading")
    if leading is None:
        raise NotExamined("there is no such metric: it is no loader's port")
    if not leading:
        return ok("stands by while another one leads")
    last = loader.value("rightcall_loader_last_success_timestamp_seconds") or 0.0
    age = time.time() - last
    if not last:
        return warning("leads, and no cycle was good yet", "wait for the first one, or see sync_failed in its log")
    if age > _LATE_SECONDS:
        return failure(f"leads; its last good cycle was {age:.0f} s ago", "see RightcallPublishingFails in the runbook")
    return ok(f"leads; its last good cycle was {max(age, 0):.0f} s ago")


def check_staleness(loader: HttpPart) -> Finding:
    """Checks for how long edits of the source may be unread."""
    return unread(_while_leading(loader, "rightcall_loader_source_staleness_seconds")[()])


def check_definitions(loader: HttpPart) -> Finding:
    """Whether the definitions have faults."""
    faults = _while_leading(loader, "rightcall_loader_faults")
    errors, warned = int(faults.get(("error",), 0)), int(faults.get(("warning",), 0))
    if errors:
        advice = "the tenants concerned keep their last good rules; see them with: rightcall validate SOURCE"
        return warning(counted(errors, "error"), advice)
    return ok(f"no errors, {counted(warned, 'warning')}")


def check_held_back(loader: HttpPart) -> Finding:
    """Whether removals wait for a person."""
    count = int(_while_leading(loader, "rightcall_loader_held_back").get((), 0))
    if count:
        advice = "see removal_held_back in its log; repair the source, or confirm with --accept-removal"
        return warning(counted(count, "removal"), advice)
    return ok("none")


def check_pinned(loader: HttpPart) -> Finding:
    """Checks for pinned tenants, which stay at a revision despite changed definitions."""
    count = int(_while_leading(loader, "rightcall_loader_pinned_tenants").get((), 0))
    if count:
        return warning(counted(count, "tenant"), "their edits do not arrive; end it with: rightcall unpin TENANT")
    return ok("none")


def _while_leading(loader: HttpPart, name: str) -> dict[tuple[str, ...], float]:
    found = loader.metrics.get(name)
    if found is None:
        raise NotExamined("a loader tells while it leads, and after its first good cycle")
    return found
