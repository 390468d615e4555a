"""Definitions as plain values, not as text: the tenants of a database, or of an API.

The checks are those of files, so rules, faults and wording are the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from loader.definitions.across import check_across
from loader.definitions.check import Entry, check_tenant
from loader.definitions.document import Checked
from loader.definitions.findings import labels
from loader.definitions.items import TenantMemory
from loader.definitions.text.tokens import LONG_LISTS, printable
from loader.sources.base import Reading
from loader.sources.shutting import shut

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from loader.definitions.findings import Finding
    from loader.definitions.text.tokens import Path
    from loader.faults import Fault

RawTenant: TypeAlias = dict[str, Any]
"""A member of a document's ``tenants``, as in docs/definitions.md; ``uuid`` is present and text."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A tenant that was checked before, and the findings."""

    raw: RawTenant
    entry: Entry
    findings: tuple[Finding, ...]
    memory: TenantMemory


class PlainDefinitions:
    """Checks tenants. Whole tenants and members that equal those of the last time are not checked again.

    A member that equals one of the last time is replaced by that object, so that digest and compiler recognise the
    identity.

    Args:
        origin: the name of the file in faults; without credentials.
    """

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._held: dict[str, _Held] = {}

    def reading(
        self,
        tenants: Sequence[RawTenant],
        *,
        faults: Collection[Fault] = (),
        faulty: Collection[str] = (),
        complete: bool = True,
    ) -> Reading:
        """The reading that the tenants make.

        Args:
            tenants: all tenants of the source, in a stable order.
            faults: faults found before the check.
            faulty: the UUIDs, in lower case, of tenants with errors found before the check.
            complete: whether no tenant is missing; see ``Reading``.
        """
        checked = [self._checked(raw, ("tenants", index)) for index, raw in enumerate(tenants)]
        self._held = {held.raw["uuid"]: held for held in checked}
        entries = tuple(held.entry for held in checked)
        complete = complete and all(entry.uuid for entry in entries)
        across = check_across({self._origin: Checked(entries, (), complete)})
        at_fault = {entry.uuid for entry in entries if entry.tenant is None}
        at_fault |= {entry.uuid for _, entry, _ in across} | set(faulty)
        good = [entry.tenant for entry in entries if entry.tenant is not None and entry.uuid not in at_fault]
        findings = [finding for held in checked for finding in held.findings] + [finding for *_, finding in across]
        top = {"tenants": tenants}
        found = [_named(top, finding).fault(self._origin, None, *labels(top, finding.path)) for finding in findings]
        return Reading(
            tenants=tuple(sorted(good, key=lambda tenant: tenant.uuid)),
            faults=tuple(sorted([*faults, *found])),
            faulty=frozenset(at_fault - {""}),
            complete=complete,
            shut=shut(entries, at_fault, [entry.uuid for _, entry, _ in across]),
        )

    def _checked(self, raw: RawTenant, path: Path) -> _Held:
        held = self._held.get(raw["uuid"])
        if held is not None and held.entry.path == path and held.raw == raw:
            return held
        memory = TenantMemory() if held is None else held.memory
        same = raw if held is None else {**raw, **{key: _with_last(raw, held.raw, key) for key in LONG_LISTS}}
        findings: list[Finding] = []
        entry = check_tenant(same, path, findings, memory)
        return _Held(same, entry, tuple(findings), memory)


def _with_last(raw: RawTenant, last: RawTenant, key: str) -> list[Any]:
    """The members of one of the tenant's lists; unchanged members are the objects of the last time."""
    id_key = "uuid" if key == "users" else "id"
    before = {_hashable(member.get(id_key)): member for member in last[key]}
    members = []
    for member in raw[key]:
        old = before.get(_hashable(member.get(id_key)))
        members.append(old if old is not None and (old is member or old == member) else member)
    return members


def _hashable(value: object) -> object:
    """An id as a key; one that is at fault may be anything."""
    return value if isinstance(value, str | int) else None


def _named(top: dict[str, Sequence[RawTenant]], finding: Finding) -> Finding:
    """The finding with the name of the user, group or outcall, since values have no lines."""
    match finding.path:
        case ("tenants", int(tenant), ("users" | "groups" | "outcalls") as key, int(index), *_):
            member = top["tenants"][tenant][key][index]
            name = printable(str(member.get("uuid") or member.get("id")))
            return replace(finding, problem=f"{key[:-1]} {name}: {finding.problem}")
    return finding
