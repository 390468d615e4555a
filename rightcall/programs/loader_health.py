"""The readiness of a loader that goes on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from loader.errors import PublishError
from pdp.runtime.http import Readiness

if TYPE_CHECKING:
    from collections.abc import Callable

    from loader.metrics.registry import LoaderMetrics
    from loader.publishing.lease import Lease


class LoaderHealth:
    """The readiness of a loader. A loader that stands by is ready, too.

    Args:
        lease: the loader's claim to lead.
        metrics: the results of the loader's cycles.
        late: seconds after which the last good cycle is too old.
        stale: gives the seconds for which a change of the source may be unknown.
        max_stale: the most of these with which the loader is ready; 0: no limit.
        foreign: why the loader could never publish, even without the leading one; empty if possible.
    """

    def __init__(
        self,
        lease: Lease,
        metrics: LoaderMetrics,
        *,
        late: float,
        stale: Callable[[], float] = lambda: 0.0,
        max_stale: float = 0.0,
        foreign: Callable[[], str] = lambda: "",
    ) -> None:
        self._lease = lease
        self._metrics = metrics
        self._late = late
        self._stale = stale
        self._max_stale = max_stale
        self._foreign = foreign

    def __call__(self) -> Readiness:
        """Whether the loader is ready, and the reason."""
        lease, problem = self._lease, self._metrics.problem
        if not self._metrics.alive:
            return Readiness(ready=False, reason="not ready: this loader is stuck; its log says where")
        if not lease.leading:
            return self._standing_by()
        age = time.time() - self._metrics.last_success
        if age > self._late:
            since = f"no good cycle for {age:.0f} s" if self._metrics.last_success else "no good cycle yet"
            return Readiness(ready=False, reason=f"not ready: leading, and {since}{problem and '; ' + problem}")
        stale = self._stale()
        unread = f"edits of the last {stale:.0f} s may be unread"
        if 0 < self._max_stale < stale:
            return Readiness(ready=False, reason=f"not ready: leading, and {unread}{problem and '; ' + problem}")
        state = f"leading; {unread}" if stale >= 1 else "leading"
        return Readiness(ready=True, reason=f"ready: {state}{problem and '; the last cycle failed: ' + problem}")

    def _standing_by(self) -> Readiness:
        lease = self._lease
        if lease.problem or not lease.leader:
            return Readiness(ready=False, reason=f"not ready: {lease.problem or 'nobody is known to lead yet'}")
        try:
            foreign = self._foreign()
        except PublishError as error:
            foreign = str(error)
        if foreign:
            return Readiness(ready=False, reason=f"not ready: {lease.leader} leads, and {foreign}")
        return Readiness(ready=True, reason=f"ready: standing by while {lease.leader} leads")
