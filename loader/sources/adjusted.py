"""A source whose tenants are adjusted before they are compiled: by defaults, or by leaving names out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from loader.sources.base import WrappedSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from loader.sources.base import FaultyTenant, Reading, Source
    from pdp.rules.model import Tenant


def without_names(tenant: Tenant) -> Tenant:
    """The tenant with users whose names and extensions are not known."""
    return replace(tenant, users=tuple(replace(user, name="", extension="") for user in tenant.users))


class AdjustedSource(WrappedSource):
    """A source whose tenants are adjusted, such as by defaults.

    Args:
        source: the source of the tenants.
        adjust: gives the adjusted tenant.
    """

    def __init__(self, source: Source, adjust: Callable[[Tenant], Tenant]) -> None:
        super().__init__(source)
        self._adjust = adjust
        # A tenant that is the one of last time stays the same object, so that it is not compared again.
        self._adjusted: dict[str, tuple[Tenant, Tenant]] = {}

    def read(self) -> Reading:
        """Reads everything; see ``Source``."""
        reading = super().read()
        before, self._adjusted = self._adjusted, {}
        for tenant in reading.tenants:
            known = before.get(tenant.uuid)
            same = known is not None and known[0] is tenant
            self._adjusted[tenant.uuid] = known if known and same else (tenant, self._adjust(tenant))
        return replace(
            reading,
            tenants=tuple(self._adjusted[tenant.uuid][1] for tenant in reading.tenants),
            shut=tuple(map(self._shut, reading.shut)),
        )

    def _shut(self, faulty: FaultyTenant) -> FaultyTenant:
        """A tenant with an error, which may be called for help from like any other."""
        isolated = self._adjust(faulty.isolated) if faulty.isolated is not None else None
        return replace(faulty, closed=self._adjust(faulty.closed), isolated=isolated)
