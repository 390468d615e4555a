"""One document: bytes in, each tenant and every fault out.

A document is followed through edits, and an edit costs no more than its changes: only the changed members of long lists
are parsed, checked and located. The result equals that of reading the edited document for the first time; where this is
not certain, the document is read as a whole.
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
"""Maximum number of reported faults of one document."""


@dataclass(frozen=True, slots=True)
class Checked:
    """The content of one document, checked.

    Attributes:
        entries: the tenants in the order of the document, the faulty ones included.
        faults: errors and warnings, sorted.
        complete: False if the document may define a tenant that is not among the entries, or one of unknown UUID.
    """

    entries: tuple[Entry, ...]
    faults: tuple[Fault, ...]
    complete: bool


def unreadable(file: str, error: UnreadableError) -> Checked:
    """The content of an unreadable document: one fault."""
    return Checked((), (Fault(file, error.line, "", "", "", error.problem, error.remedy),), complete=False)


def check_document(file: str, data: bytes) -> Checked:
    """Reads and checks a document.

    Args:
        file: the file's name, for the faults; the ending tells YAML from JSON.
        data: the file's content.
    """
    return FollowedDocument(file).check(data)


class FollowedDocument:
    """A document that is followed through edits.

    Args:
        file: the file's name, for the faults; the ending tells YAML from JSON.
    """

    def __init__(self, file: str) -> None:
        self._file = file
        self._text = HeldText(file)
        self._memories: dict[int, TenantMemory] = {}
        self._last: tuple[bytes, Checked] | None = None

    def check(self, data: bytes) -> Checked:
        """Returns the content of the document; the same object as before if the bytes are equal.

        Items of a tenant that did not change and refer to nothing removed stay the same objects.
        """
        if self._last is None or self._last[0] != data:
            self._last = data, self._read(data)
        return self._last[1]

    def lines(self, paths: Iterable[Path]) -> Lines | None:
        """The lines of values in the document as checked last; None for an unreadable document."""
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
            pass  # the fault is reported by reading the whole
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
    """The reported findings: all, or the first ones, errors before warnings, and the number of the others.

    Locating hundreds of thousands takes minutes, and no person reads that many.
    """
    if len(findings) <= MOST_FAULTS:
        return findings
    told = sorted(findings, key=lambda finding: finding.severity is not Severity.ERROR)[:MOST_FAULTS]
    more = f"{len(findings) - MOST_FAULTS:,} more faults are not told of"
    worst = Severity.ERROR if any(one.severity is Severity.ERROR for one in findings) else Severity.WARNING
    return [*told, Finding((), more, "repair the others first", worst)]


def _tenant_index(path: Path) -> int | None:
    """The index of the tenant that the path leads into; None for any other path."""
    match path:
        case ("tenants", int(index), _, *_):
            return index
    return None


def _repeated(path: Path, line: int) -> Finding:
    problem = f"the key '{printable(str(path[-1]))}' is there twice"
    return Finding(path, problem, "remove one of the two, or join them", Severity.ERROR, line=line)
