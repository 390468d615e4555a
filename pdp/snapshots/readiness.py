"""Whether calls can be answered, and a sentence about it for ``/readyz``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pdp.snapshots.current import CurrentSnapshots

_MOST_SHOWN = 1000
"""Characters shown of the source's error."""


def readiness(current: CurrentSnapshots, *, max_staleness: float, strangers: bool) -> tuple[bool, str]:
    """Whether the snapshots answer calls, and why or why not.

    Args:
        current: the snapshots that answer.
        max_staleness: seconds without contact to the source, or for which its edits may be unread, after which the
            server is not ready; 0: no limit.
        strangers: whether the reader may be unauthenticated: faults name callers, tenants and patterns.
    """
    source, error = _told_of_source(current, strangers=strangers)
    if not current.ready:
        loaded = "not all rules are" if current.held() else "no rules are"
        return False, f"not ready: {loaded} loaded from {source}{error}"
    stale = time.time() - current.contacted_at
    if 0 < max_staleness < stale:
        return False, f"not ready: no contact to {source} for {stale:.0f} s{error}"
    unread = current.unread_seconds() if current.unread_seconds is not None else 0.0
    if 0 < max_staleness < unread:
        return False, f"not ready: edits of the last {unread:.0f} s may be unread in {source}{error}"
    held = current.held()
    tenants = "1 tenant" if len(held) == 1 else f"{len(held)} tenants"
    if closed := sum(one.snapshot.closed > 0 for one in held):
        tenants += f" ({closed} closed by faults)"
    return True, f"ready: {tenants} from {source}{error}"


def _told_of_source(current: CurrentSnapshots, *, strangers: bool) -> tuple[str, str]:
    """The source of the rules, and the source's error."""
    error = current.source_error
    if strangers:
        return "their source", "; there are faults, which GetStatus and the log name" if error else ""
    shown = f"{error[:_MOST_SHOWN]}…" if len(error) > _MOST_SHOWN else error
    return current.source, f"; {shown}" if error else ""
