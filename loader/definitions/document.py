"""One document: bytes in, what it says of each tenant and every fault out.

A document is followed through its edits, and an edit costs what it changes: only the changed members of its long lists
are read, checked and looked at for lines. What the edited document says is what it would say if it were read for the
first time; wherever that is not certain, it is read as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from loader.definitions.check import Entry, check_shape, check_tenant
from loader.definitions.findings import Finding, labels
from loader.definitions.following.held import HeldText
from loader.definitions.items import TenantMemory
from loader.definitions.shapes import DocumentShape
from loader.definitions.text.tokens import Path, UnreadableError, printable
from loader.faults import Fault, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loader.definitions.text.locate import Lines
    from loader.definitions.text.members import Document

ENDINGS = (".yaml", ".yml", ".json")
MOST_FAULTS = 1000
"""Of one document that are told one by one."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What one document says.

    Attributes:
        entries: its tenants, in its order, the faulty ones included.
        faults: errors and warnings, sorted.
        complete: False where it may define a tenant that is not among the entries, or whose UUID is not known.
    """

    entries: tuple[Entry, ...]
    faults: tuple[Fault, ...]
    complete: bool


def unreadable(file: str, error: UnreadableError) -> Checked:
    """What is known of a document that cannot be read: its fault."""
    return Checked((), (Fault(file, error.line, "", "", "", error.problem, error.remedy),), complete=False)


def check_document(file: str, data: bytes) -> Checked:
    """Reads and checks a document.

    Args:
        file: its name, for the faults; the ending says whether it is YAML or JSON.
        data: its content.
    """
    return FollowedDocument(file).check(data)


class FollowedDocument:
    """A document through its edits.

    Args:
        file: its name, for the faults; the ending says whether it is YAML or JSON.
    """

    def __init__(self, file: str) -> None:
        self._file = file
        self._text = HeldText(file)
        self._memories: dict[int, TenantMemory] = {}
        self._last: tuple[bytes, Checked] | None = None

    def check(self, data: bytes) -> Checked:
        """What the document says now; the very object of the last time where its bytes are the same.

        Of a tenant, what did not change and refers to nothing that is gone is the very object of the last time.
        """
        if self._last is None or self._last[0] != data:
            self._last = data, self._read(data)
        return self._last[1]

    def lines(self, paths: Iterable[Path]) -> Lines | None:
        """The lines of values of the document as it was checked last, if it could be read."""
        try:
            return self._text.lines(paths)
        except UnreadableError:
            return None

    def _read(self, data: bytes) -> Checked:
        document = self._text.follow(data)
        try:
            if document is not None:
                return self._check(document)
        except UnreadableError:
            pass  # what is wrong with it, the reading as a whole says
        try:
            document = self._text.read(data)
            self._memories.clear()
            return self._check(document)
        except UnreadableError as error:
            return unreadable(self._file, error)

    def _check(self, document: Document) -> Checked:
        findings: list[Finding] = []
        shape = check_shape(DocumentShape, document.value, (), 0, findings)
        raw_tenants = document.value.get("tenants") if isinstance(document.value, dict) else None
        tenants = raw_tenants if isinstance(raw_tenants, list) else []
        entries = [
            check_tenant(raw, ("tenants", index), findings, self._memories.setdefault(index, TenantMemory()))
            for index, raw in enumerate(tenants)
        ]
        complete = shape is not None and all(entry.uuid for entry in entries)
        if not findings and not document.repeats_key:
            return Checked(tuple(entries), (), complete)
        findings = _foremost(findings)
        lines = self._text.lines(finding.path for finding in findings)
        for path, line in lines.repeated:
            findings.append(_repeated(path, line))
            at = _tenant_index(path)
            if at is not None and at < len(entries):
                entries[at] = replace(entries[at], tenant=None)
            else:
                complete = False
        faults = sorted(finding.fault(self._file, lines, *labels(document.value, finding.path)) for finding in findings)
        return Checked(tuple(entries), tuple(faults), complete)


def _foremost(findings: list[Finding]) -> list[Finding]:
    """The findings that are told: all of them, or the first ones, errors before warnings, and how many there are more.

    Finding the line of each of hundreds of thousands takes minutes, and nobody reads them.
    """
    if len(findings) <= MOST_FAULTS:
        return findings
    told = sorted(findings, key=lambda finding: finding.severity is not Severity.ERROR)[:MOST_FAULTS]
    more = f"{len(findings) - MOST_FAULTS:,} more faults are not told of"
    worst = Severity.ERROR if any(one.severity is Severity.ERROR for one in findings) else Severity.WARNING
    return [*told, Finding((), more, "repair the others first", worst)]


def _tenant_index(path: Path) -> int | None:
    """The place of the tenant that the way leads into; None where it leads elsewhere."""
    match path:
        case ("tenants", int(index), _, *_):
            return index
    return None


def _repeated(path: Path, line: int) -> Finding:
    problem = f"the key '{printable(str(path[-1]))}' is there twice"
    return Finding(path, problem, "remove one of the two, or join them", Severity.ERROR, line=line)
