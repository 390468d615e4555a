"""Definitions that come as plain values and not as a text: the tenants of a database, or of an API.

They take the same checks as those in files, so the rules, the faults and their wording are the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from loader.definitions.across import check_across
from loader.definitions.check import Entry, check_tenant
from loader.definitions.document import Checked
from loader.definitions.findings import labels
from loader.definitions.text.tokens import printable
from loader.sources.base import Reading
from loader.sources.shutting import shut

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from loader.definitions.findings import Finding
    from loader.definitions.text.tokens import Path
    from loader.faults import Fault

RawTenant: TypeAlias = dict[str, Any]
"""A member of a document's ``tenants``, as docs/definitions.md describes it; ``uuid`` is there and is text."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A tenant that was checked before, and what was found."""

    raw: RawTenant
    entry: Entry
    findings: tuple[Finding, ...]


class PlainDefinitions:
    """Checks tenants. One that equals what it was the last time, at the same place, is not checked again.

    Args:
        origin: what the faults name as their file; without credentials.
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
            tenants: all that the source holds, in an order that is the same each time.
            faults: what was found before the check.
            faulty: the UUIDs, in lower case, of tenants to which something was found before the check.
            complete: whether these are all tenants; see ``Reading``.
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
        findings: list[Finding] = []
        entry = check_tenant(raw, path, findings)
        return _Held(raw, entry, tuple(findings))


def _named(top: dict[str, Sequence[RawTenant]], finding: Finding) -> Finding:
    """The finding with the name of the user, group or outcall, since here no line tells which one it is."""
    match finding.path:
        case ("tenants", int(tenant), ("users" | "groups" | "outcalls") as key, int(index), *_):
            member = top["tenants"][tenant][key][index]
            name = printable(str(member.get("uuid") or member.get("id")))
            return replace(finding, problem=f"{key[:-1]} {name}: {finding.problem}")
    return finding
