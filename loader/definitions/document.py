"""One document: bytes in, what it says of each tenant and every fault out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from loader.definitions import json_text, yaml_text
from loader.definitions.check import Entry, check_shape, check_tenant
from loader.definitions.findings import Finding, labels
from loader.definitions.locate import Lines, locate
from loader.definitions.shapes import DocumentShape
from loader.definitions.text import Document, Path, UnreadableError, printable
from loader.faults import Fault, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

ENDINGS = (".yaml", ".yml", ".json")
_BOM = b"\xef\xbb\xbf"
_START = "write 'tenants:' and below it the tenants, as docs/definitions.md shows"


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
    try:
        return _check(file, data)
    except UnreadableError as error:
        return unreadable(file, error)


def find_lines(file: str, data: bytes, paths: Iterable[Path]) -> Lines:
    """The lines of values of a document that was read before.

    Raises:
        UnreadableError: it is another document meanwhile, which cannot be read.
    """
    return locate(_reader(file).tokens(data.removeprefix(_BOM)), paths)


def _check(file: str, data: bytes) -> Checked:
    document = _parse(file, data)
    findings: list[Finding] = []
    shape = check_shape(DocumentShape, document.value, (), 0, findings)
    raw_tenants = document.value.get("tenants") if isinstance(document.value, dict) else None
    tenants = raw_tenants if isinstance(raw_tenants, list) else []
    entries = [check_tenant(raw, ("tenants", index), findings) for index, raw in enumerate(tenants)]
    complete = shape is not None and all(entry.uuid for entry in entries)
    if not findings and not document.repeats_key:
        return Checked(tuple(entries), (), complete)
    lines = find_lines(file, data, [finding.path for finding in findings])
    for path, line in lines.repeated:
        findings.append(_repeated(path, line))
        at = _tenant_index(path)
        if at is not None and at < len(entries):
            entries[at] = replace(entries[at], tenant=None)
        else:
            complete = False
    faults = sorted(finding.fault(file, lines, *labels(document.value, finding.path)) for finding in findings)
    return Checked(tuple(entries), tuple(faults), complete)


def _reader(file: str) -> ModuleType:
    return json_text if file.lower().endswith(".json") else yaml_text


def _tenant_index(path: Path) -> int | None:
    """The place of the tenant that the way leads into; None where it leads elsewhere."""
    match path:
        case ("tenants", int(index), _, *_):
            return index
    return None


def _repeated(path: Path, line: int) -> Finding:
    problem = f"the key '{printable(str(path[-1]))}' is there twice"
    return Finding(path, problem, "remove one of the two, or join them", Severity.ERROR, line=line)


def _parse(file: str, data: bytes) -> Document:
    """The document's value.

    Raises:
        UnreadableError: it has none.
    """
    data = data.removeprefix(_BOM)
    try:
        blank = not data.decode().strip()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnreadableError("holds bytes that are no UTF-8", "save the file as UTF-8", line) from None
    document = Document(None, repeats_key=False)
    if not blank:
        document = _reader(file).parse(data)
    if document.value is None:
        raise UnreadableError("holds no definitions", f"{_START}; 'tenants: []' says that there are none")
    if not isinstance(document.value, dict):
        raise UnreadableError("is no mapping with the key 'tenants'", _START, 1)
    return document
