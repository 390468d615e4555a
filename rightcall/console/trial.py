"""The trial of an edit: faults and mistakes of a text of definitions, what it changes, and cases run against it."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from loader.sources.file import FileSource
from pdp.rules.model import Tenant
from pdp.runtime.files import read_regular
from rightcall.cases.run import CaseRun
from rightcall.cases.table import ENDING, read_cases
from rightcall.console.findings import difference, expectations
from rightcall.programs.comparable import comparable
from rightcall.programs.exits import Failure
from rightcall.programs.local import LocalClient
from rightcall.programs.remarks import remarks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from loader.faults import Fault
    from rightcall.cases.run import Result
    from rightcall.console.findings import Assumed, Difference, Proven
    from rightcall.console.rules import Book
    from rightcall.programs.remarks import Remark

MAX_TEXT = 2 * 1024 * 1024
"""Bytes of the largest file to edit; as a form it takes up to twice as many."""


class Edit(NamedTuple):
    """An edited text.

    Attributes:
        text: the definitions.
        name: the name of the file that they are of.
        others: the files beside it, whose tenants cases may be about as well.
        cases: a table of cases; empty: none.
    """

    text: str
    name: str
    others: Sequence[Path]
    cases: str


class Tried(NamedTuple):
    """The findings about a text.

    Attributes:
        faults, remarks, expectations, differences: of the text.
        results: of the cases.
        problem: why the cases were not run; empty: they were.
    """

    faults: Sequence[Fault]
    remarks: list[Remark]
    expectations: list[Proven]
    differences: list[Difference]
    results: list[Result]
    problem: str


def tried(edit: Edit, book: Book, assumed: Assumed) -> Tried:
    """Tries an edit against the rules of now."""
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory, edit.name)
        place.write_text(edit.text, encoding="utf-8", newline="")
        with closing(FileSource(str(place))) as source:
            reading = source.read()
            found = [remark for remark in remarks(source, reading.tenants, assumed.emergency) if not remark.reason]
        results, problem = _run(edit, Path(directory)) if edit.cases.strip() else ([], "")
    proven = [each for tenant in reading.tenants for each in expectations(tenant, assumed)]
    return Tried(reading.faults, found, proven, list(_differences(book, assumed, reading.tenants)), results, problem)


def _run(edit: Edit, directory: Path) -> tuple[list[Result], str]:
    """The results of the cases, or why they were not run."""
    table = directory / f"edit{ENDING}"
    table.write_text(edit.cases, encoding="utf-8", newline="")
    try:
        for other in edit.others:
            (directory / other.name).write_bytes(read_regular(other, MAX_TEXT))
        cases = read_cases([table])
        client = LocalClient(str(directory))
        return CaseRun(client, client.tenants).cases(cases), ""
    except OSError as error:
        return [], f"the cases were not run: a file beside cannot be read ({error.strerror})"
    except Failure as error:
        said = str(error).replace(str(table), "the table").replace(str(directory), "the text")
        return [], f"the cases were not run: {said}"


def _differences(book: Book, assumed: Assumed, tenants: Sequence[Tenant]) -> Iterator[Difference]:
    """The effects on each tenant of the text; tenants of other files are not touched."""
    for tenant in tenants:
        live = book.index(tenant.uuid)
        before, now, _ = comparable(live.tenant if live else Tenant(tenant.uuid, tenant.name), tenant, None)
        if before != now:
            yield difference(before, now, assumed)
