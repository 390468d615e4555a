"""Rules that would take too long to compile or to decide by, as faults of definitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loader.definitions.text.tokens import printable
from loader.faults import Fault
from loader.sources.file import FileSource

if TYPE_CHECKING:
    from loader.sources.base import Source
    from pdp.rules.errors import CostError
    from pdp.rules.model import Tenant


def cost_fault(source: Source, tenant: Tenant, error: CostError) -> Fault:
    """The fault of a tenant whose rules are too costly.

    Args:
        source: the tenant's source; a source of files gives the line of the permission.
        tenant: the tenant.
        error: the excess.
    """
    key = "call_permissions", error.permission or 0
    places = source.places(tenant.uuid, [key]) if isinstance(source, FileSource) and error.permission else {}
    file, line = places.get(key, (source.name, None))
    permission = next((one for one in tenant.call_permissions if one.id == error.permission), None)
    label = path = ""
    if permission is not None:
        label = f"{permission.id} ({printable(permission.name)})" if permission.name else str(permission.id)
        path = f"call_permissions[{tenant.call_permissions.index(permission)}].extensions"
    name = printable(tenant.name) or tenant.uuid
    return Fault(file, line, name, label, path, error.problem, error.remedy)
