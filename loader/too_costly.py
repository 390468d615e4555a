"""Rules that would take too long to compile or to decide by, as faults of definitions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from loader.definitions.text.tokens import printable
from loader.faults import Fault
from loader.sources.file import FileSource
from pdp.rules.compiler.compiler import Compiler
from pdp.rules.errors import CostError
from pdp.rules.model import Revision

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from loader.sources.base import Reading, Source
    from pdp.rules.compiler.costs import CostLimits
    from pdp.rules.model import Tenant

_NO_REVISION = Revision(1, "0" * 64)
"""Of what is compiled and not published."""


def with_costs(source: Source, reading: Reading, limits: CostLimits | None = None) -> Reading:
    """The reading with the tenants at fault whose rules are too costly: compiling them tells, and nothing less."""
    faults = dict(_costly(source, reading.tenants, limits))
    return replace(
        reading,
        tenants=tuple(tenant for tenant in reading.tenants if tenant.uuid not in faults),
        faults=tuple(sorted((*reading.faults, *faults.values()))),
        faulty=reading.faulty.union(faults),
    )


def _costly(source: Source, tenants: Iterable[Tenant], limits: CostLimits | None) -> Iterator[tuple[str, Fault]]:
    for tenant in tenants:
        try:
            Compiler(cost_limits=limits).compile(tenant, _NO_REVISION, compiled_at=0.0)
        except CostError as error:
            yield tenant.uuid, cost_fault(source, tenant, error)


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
