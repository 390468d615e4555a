"""The findings of the checks, before they are located."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loader.definitions.shapes import MAX_PERMISSION_ID
from loader.definitions.text.tokens import Path, path_text, printable
from loader.faults import Fault, Severity

if TYPE_CHECKING:
    from loader.definitions.text.locate import Lines


TENANT_DEPTH = 2
"""Length of the path to a tenant: ``tenants``, index."""

PERMISSION_DEPTH = 4
"""Length of the path to a permission: ``tenants``, index, ``call_permissions``, index."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault at a path of a document.

    Attributes:
        path: the path to the value.
        problem: the fault.
        remedy: the remedy.
        severity: whether the tenant cannot be published.
        key: whether the key is at fault, not the value.
        line: the line, if known already.
    """

    path: Path
    problem: str
    remedy: str
    severity: Severity = Severity.ERROR
    key: bool = False
    line: int | None = None

    def within(self, path: Path) -> Finding:
        """The finding of a part of a document, moved into the document, given the path to the part."""
        return Finding((*path, *self.path), self.problem, self.remedy, self.severity, self.key, self.line)

    def fault(self, file: str, lines: Lines | None, tenant: str, permission: str = "") -> Fault:
        """The fault that people see.

        Args:
            file: the file's name.
            lines: the lines of the file, if readable.
            tenant: the tenant's label.
            permission: the permission's label.
        """
        line = self.line
        if line is None and lines is not None:
            line = lines.of(self.path, key=self.key)
        return Fault(file, line, tenant, permission, path_text(self.path), self.problem, self.remedy, self.severity)


def labels(top: object, path: Path) -> tuple[str, str]:
    """The labels of the tenant and the permission that a path leads into; empty texts if there are none.

    Args:
        top: the document.
        path: the path.
    """
    tenant = tenant_label(_follow(top, path[:TENANT_DEPTH]))
    if path[TENANT_DEPTH : PERMISSION_DEPTH - 1] != ("call_permissions",):
        return tenant, ""
    return tenant, permission_label(_follow(top, path[:PERMISSION_DEPTH]))


def tenant_label(raw: object) -> str:
    """The tenant's name, or the UUID of a tenant without one."""
    if not isinstance(raw, dict):
        return ""
    texts = (value for value in (raw.get("name"), raw.get("uuid")) if isinstance(value, str) and value)
    return printable(next(texts, ""))


def permission_label(raw: object) -> str:
    """``12 (no-international)``, as far as id and name are known."""
    if not isinstance(raw, dict):
        return ""
    number, name = raw.get("id"), raw.get("name")
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number <= MAX_PERMISSION_ID:
        return ""
    return f"{number} ({printable(name)})" if isinstance(name, str) and name else str(number)


def _follow(value: object, path: Path) -> object:
    """The value at a path; None if the path ends early."""
    for step in path:
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value
