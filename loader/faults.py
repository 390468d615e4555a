"""Faults of definitions, each with place and remedy.

A fault is data, not an exception, because all faults of a source are reported at once. No fault ever holds a password.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum


class Severity(StrEnum):
    """The effect of a fault on the tenant."""

    ERROR = "error"
    """Nothing of the tenant is published; the last good rules stay in force."""
    WARNING = "warning"
    """The tenant is published; the definition probably differs from the author's intent."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. Faults sort by file, then by line.

    Attributes:
        file: the file or other origin, as named by the person.
        line: counted from 1; None where there is no line.
        tenant: the tenant's name, else UUID; empty for a fault outside tenants.
        permission: id and name, as in ``12 (no-international)``; empty for a fault outside permissions.
        path: the path to the value, as in ``tenants[0].call_permissions[1].extensions[0]``; empty for a whole file.
        problem: the fault.
        remedy: the remedy.
        severity: whether the tenant cannot be published.
    """

    file: str
    line: int | None
    tenant: str
    permission: str
    path: str
    problem: str
    remedy: str
    severity: Severity = Severity.ERROR

    def __lt__(self, other: Fault) -> bool:
        """Orders by file, line (none first), then by the other fields, so that the order is total."""
        return self._order() < other._order()

    def __str__(self) -> str:
        """One line for people: ``acme.yaml:17: tenant acme, permission 12 (x): what is wrong; what to do``."""
        origin = self.file if self.line is None else f"{self.file}:{self.line}"
        within = ", ".join(
            f"{kind} {name}" for kind, name in (("tenant", self.tenant), ("permission", self.permission)) if name
        )
        return ": ".join(part for part in (origin, within, f"{self.problem}; {self.remedy}") if part)

    def as_dict(self) -> dict[str, str | int | None]:
        """The attributes by name, for JSON."""
        return asdict(self)

    def _order(self) -> tuple[str, int, str, str]:
        return self.file, self.line or 0, self.path, self.problem
