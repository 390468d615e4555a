"""The directory as a plain class: what a server holds, and the questions that are asked the other way round."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.errors import UnknownTenant
from rightcall import v1

if TYPE_CHECKING:
    from pdp.current import CurrentSnapshots, Held


class DirectoryService:
    """Answers ``rightcall.v1.DirectoryService``.

    Args:
        current: what it reports on.
        version: the server's own.
    """

    def __init__(self, current: CurrentSnapshots, version: str) -> None:
        self._current = current
        self._version = version

    def get_status(self, request: v1.GetStatusRequest) -> v1.GetStatusResponse:
        """What the server holds, ready or not.

        Raises:
            UnknownTenant: a tenant was named that is not held.
        """
        return v1.GetStatusResponse(
            version=self._version,
            source=self._current.source,
            tenants=[_tenant_status(held) for held in self._held(request.tenant)],
            source_error=self._current.source_error,
        )

    def _held(self, tenant: str) -> list[Held]:
        if not tenant:
            return self._current.held()
        held = self._current.get(tenant)
        if held is None:
            raise UnknownTenant(tenant)
        return [held]


def _tenant_status(held: Held) -> v1.TenantStatus:
    snapshot = held.snapshot
    status = v1.TenantStatus(
        tenant=snapshot.tenant,
        name=snapshot.tenant_name,
        revision=str(snapshot.revision),
        number=snapshot.revision.number,
        users=snapshot.counts.users,
        groups=snapshot.counts.groups,
        outcalls=snapshot.counts.outcalls,
        permissions=snapshot.counts.permissions,
        patterns=snapshot.counts.patterns,
        bytes=snapshot.size,
    )
    status.compiled_at.FromNanoseconds(int(snapshot.compiled_at * 1e9))
    status.loaded_at.FromNanoseconds(int(held.loaded_at * 1e9))
    return status
