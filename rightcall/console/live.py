"""The last decisions, as the decision log has them: bounded and sampled, so that no answer ever waits for a page."""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pdp.rules.model import Decision

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.metrics.registry import Metrics

_A_SECOND: Final = 200
"""Entries that are looked at in a second; of more, the first ones."""
_MOST: Final = 100
"""Decisions of a tenant that are remembered, and as many that were no ALLOW."""
_TENANTS: Final = 1000
"""Tenants whose decisions are remembered; of more, those that were called for last."""
_RATES: Final = 60
"""Seconds over which rates are measured."""


class _Decisions:
    """The last decisions of a tenant, and the last of those that were no ALLOW."""

    def __init__(self) -> None:
        self.all: deque[dict[str, Any]] = deque(maxlen=_MOST)
        self.refused: deque[dict[str, Any]] = deque(maxlen=_MOST)


class Rates(NamedTuple):
    """How often calls were decided, of all tenants together.

    Attributes:
        counts: number of decisions since the server's start, by decision.
        a_second: decisions a second of late, by decision; empty: not known yet.
    """

    counts: dict[Decision, int]
    a_second: dict[Decision, float]


class Live:
    """Remembers the last decisions.

    Args:
        metrics: counts all decisions.

    Attributes:
        version: rises with each remembered decision.
    """

    def __init__(self, metrics: Metrics) -> None:
        self.version = 0
        self._metrics = metrics
        self._lock = threading.Lock()
        self._tenants: OrderedDict[str, _Decisions] = OrderedDict()
        self._second, self._taken = 0, 0
        self._measured: deque[tuple[float, dict[Decision, int]]] = deque(maxlen=_RATES)

    def take(self, lines: Sequence[str]) -> None:
        """Remembers entries of the decision log, as far as they are not too many."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._taken = second, 0
        some = lines[: max(0, _A_SECOND - self._taken)]
        self._taken += len(some)
        entries = [json.loads(line) for line in some]
        with self._lock:
            for entry in entries:
                self._remember(entry)

    def decisions(self, tenant: str, *, refused: bool, others: bool) -> list[dict[str, Any]]:
        """The last decisions of a tenant, newest first.

        Args:
            tenant: the tenant's UUID.
            refused: without those that were ALLOW.
            others: with the decisions on calls of no tenant.
        """
        with self._lock:
            kept = [self._tenants.get(name) for name in ((tenant, "") if others else (tenant,))]
            found = [entry for each in kept if each is not None for entry in (each.refused if refused else each.all)]
        return sorted(found, key=lambda entry: str(entry["time"]), reverse=True)[:_MOST]

    def rates(self) -> Rates:
        """How often calls are decided; measured from one look to the next."""
        now, counts = time.monotonic(), self._counts()
        with self._lock:
            while self._measured and now - self._measured[0][0] > _RATES:
                self._measured.popleft()
            before = self._measured[0] if self._measured else None
            if not self._measured or now - self._measured[-1][0] >= 1:
                self._measured.append((now, counts))
        if before is None or now - before[0] < 1:
            return Rates(counts, {})
        return Rates(counts, {each: (counts[each] - before[1][each]) / (now - before[0]) for each in Decision})

    def refusing(self, tenant: str) -> list[tuple[str, str, str, int]]:
        """The permissions of a tenant that denied or challenged calls: id, name, decision, how often."""
        refusals = self._metrics.tallies.total().refusals.items()
        found = [(one.permission, one.name, one.decision, count) for one, count in refusals if one.tenant == tenant]
        return sorted(found, key=lambda each: -each[3])

    def _remember(self, entry: dict[str, Any]) -> None:
        tenant = str(entry["tenant"])
        kept = self._tenants.setdefault(tenant, _Decisions())
        self._tenants.move_to_end(tenant)
        if len(self._tenants) > _TENANTS:
            self._tenants.popitem(last=False)
        kept.all.append(entry)
        if entry["decision"] != Decision.ALLOW.name:
            kept.refused.append(entry)
        self.version += 1

    def _counts(self) -> dict[Decision, int]:
        decided = self._metrics.tallies.total().decisions
        return {each: sum(decided[each << 3 : (each + 1) << 3]) for each in Decision}
