"""What the checks find, before it has a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loader.definitions.shapes import MAX_PERMISSION_ID
from loader.definitions.text.tokens import Path, path_text, printable
from loader.faults import Fault, Severity

if TYPE_CHECKING:
    from loader.definitions.text.locate import Lines


TENANT_DEPTH = 2
"""Steps to a tenant: ``tenants``, its index."""

PERMISSION_DEPTH = 4
"""Steps to a permission: ``tenants``, its index, ``call_permissions``, its index."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong at a place of a document.

    Attributes:
        path: the way to the value.
        problem: what is wrong.
        remedy: what to do.
        severity: whether it keeps the tenant from being published.
        key: whether its key is at fault, not the value.
        line: where it is known already.
    """

    path: Path
    problem: str
    remedy: str
    severity: Severity = Severity.ERROR
    key: bool = False
    line: int | None = None

    def within(self, path: Path) -> Finding:
        """The finding of a part of a document, in the document, given the way to the part."""
        return Finding((*path, *self.path), self.problem, self.remedy, self.severity, self.key, self.line)

    def fault(self, file: str, lines: Lines | None, tenant: str, permission: str = "") -> Fault:
        """The finding as people see it.

        Args:
            file: where it was found.
            lines: those of the file, where it could be read.
            tenant: the label of the tenant that it is in.
            permission: the label of the permission that it is in.
        """
        line = self.line
        if line is None and lines is not None:
            line = lines.of(self.path, key=self.key)
        return Fault(file, line, tenant, permission, path_text(self.path), self.problem, self.remedy, self.severity)


def labels(top: object, path: Path) -> tuple[str, str]:
    """What people call the tenant and the permission that a way leads into; empty texts where it leads into none.

    Args:
        top: the document.
        path: the way.
    """
    tenant = tenant_label(_follow(top, path[:TENANT_DEPTH]))
    if path[TENANT_DEPTH : PERMISSION_DEPTH - 1] != ("call_permissions",):
        return tenant, ""
    return tenant, permission_label(_follow(top, path[:PERMISSION_DEPTH]))


def tenant_label(raw: object) -> str:
    """The tenant's name, or its UUID where it has no name."""
    if not isinstance(raw, dict):
        return ""
    texts = (value for value in (raw.get("name"), raw.get("uuid")) if isinstance(value, str) and value)
    return printable(next(texts, ""))


def permission_label(raw: object) -> str:
    """``12 (no-international)``, as far as it is known."""
    if not isinstance(raw, dict):
        return ""
    number, name = raw.get("id"), raw.get("name")
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number <= MAX_PERMISSION_ID:
        return ""
    return f"{number} ({printable(name)})" if isinstance(name, str) and name else str(number)


def _follow(value: object, path: Path) -> object:
    """What stands at the end of the way; None where the way ends early."""
    for step in path:
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value
