"""The marked changes of a platform, until they are read."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from loader.sources.wazo.events import Part
    from loader.sources.wazo.rest.pending import Wanted

_PARTS_AT_ONCE: Final = 20
_MOST_PARTS: Final = 200
"""Number of marked parts above which the whole tenant is read."""


class Marks:
    """Marked parts, tenants and the list of tenants, each with the time of the first mark, by the monotonic clock.

    Args:
        concerns: whether a tenant is wanted; others' parts are dropped.

    Attributes:
        tenants: time of the first mark of the list of tenants; None without one.
    """

    def __init__(self, concerns: Callable[[str], bool]) -> None:
        self.tenants: float | None = None
        self._concerns = concerns
        self._parts: dict[str, dict[Part, float]] = {}
        self._reading: dict[str, dict[Part, float]] = {}
        self._whole: dict[str, float] = {}

    def accept(self, wanted: Wanted) -> None:
        """Adds marks."""
        if wanted.tenants is not None:
            self.add_tenants(wanted.tenants)
        for tenant, since in wanted.whole.items():
            self.add_whole(tenant, since)
        for tenant, parts in wanted.parts.items():
            if self._concerns(tenant):
                self._put(tenant, parts)

    def add(self, tenant: str, parts: Iterable[Part], since: float) -> None:
        """Marks parts of a tenant."""
        self._put(tenant, dict.fromkeys(parts, since))

    def add_whole(self, tenant: str, since: float) -> None:
        """Marks a whole tenant."""
        self._whole.setdefault(tenant, since)

    def add_tenants(self, since: float) -> None:
        """Marks the list of tenants."""
        self.tenants = self.tenants or since

    def waiting(self) -> list[str]:
        """The tenants with parts to read, those with few parts first."""
        return sorted(self._parts, key=lambda tenant: len(self._parts[tenant]))

    @property
    def has_whole(self) -> bool:
        """Whether a whole tenant is to be read."""
        return bool(self._whole)

    def take(self, tenant: str) -> tuple[Part, ...]:
        """The parts of a tenant to read next; empty where there are so many that the whole tenant was marked instead.

        They count as unread until ``done`` or ``put_back``.
        """
        parts = self._parts.pop(tenant)
        if len(parts) > _MOST_PARTS:
            self.add_whole(tenant, min(parts.values()))
            return ()
        taken = dict(islice(parts.items(), _PARTS_AT_ONCE))
        rest = {part: since for part, since in parts.items() if part not in taken}
        if rest:
            self._parts[tenant] = rest
        self._reading[tenant] = taken
        return tuple(taken)

    def done(self, tenant: str) -> None:
        """The taken parts of a tenant were read."""
        self._reading.pop(tenant)

    def put_back(self, tenant: str) -> None:
        """The taken parts of a tenant were not read."""
        self._parts[tenant] = self._reading.pop(tenant) | self._parts.get(tenant, {})

    def put_all_back(self) -> None:
        """No taken part was read."""
        for tenant in list(self._reading):
            self.put_back(tenant)

    def take_whole(self) -> str:
        """The wanted tenant that was marked whole first; empty without one."""
        while self._whole:
            tenant = min(self._whole, key=lambda each: self._whole[each])
            del self._whole[tenant]
            if self._concerns(tenant):
                return tenant
        return ""

    def read_since(self, begun: float) -> None:
        """Drops the marks of whole tenants before a reading of everything that was begun at this time."""
        self._whole = {tenant: since for tenant, since in self._whole.items() if since > begun}

    def oldest(self) -> float | None:
        """The time of the oldest mark that is not read yet; None without one."""
        times = [since for parts in (*self._parts.values(), *self._reading.values()) for since in parts.values()]
        times += [*self._whole.values(), *([] if self.tenants is None else [self.tenants])]
        return min(times, default=None)

    def _put(self, tenant: str, parts: Mapping[Part, float]) -> None:
        marked = self._parts.setdefault(tenant, {})
        for part, since in parts.items():
            marked.setdefault(part, since)
