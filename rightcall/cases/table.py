"""Tables of test cases: CSV files with a call and the required decision in each row."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pdp.runtime.files import MAX_TABLE, read_regular
from rightcall.programs.exits import ExitCode, Failure

if TYPE_CHECKING:
    from collections.abc import Iterable

ENDING: Final = ".cases.csv"
COLUMNS: Final = {
    "caller": "a user's name, extension or UUID; empty: a caller that is no user",
    "extension": "what is dialled",
    "outcall": "an outcall's name or id; empty: none",
    "expect": "allow, deny or challenge",
    "permission": "optional: the id of the permission that decides, or none",
    "tenant": "optional: a tenant's name or UUID; empty: the caller's",
    "about": "optional: why",
}
_REQUIRED: Final = ("caller", "extension", "expect")
_DECISIONS: Final = ("ALLOW", "DENY", "CHALLENGE")


@dataclass(frozen=True, slots=True)
class Case:
    """One row of a table.

    Attributes:
        file: the table's file.
        line: the row's line, counted from 1.
        caller: the caller, as written.
        extension: the dialled extension.
        outcall: the outcall, as written.
        expect: ALLOW, DENY or CHALLENGE.
        permission: the id of the permission that must decide, ``none``, or empty: any.
        tenant: the tenant, as written.
        about: the reason for the case.
    """

    file: str
    line: int
    caller: str
    extension: str
    outcall: str
    expect: str
    permission: str
    tenant: str
    about: str

    @property
    def name(self) -> str:
        """The case's name in reports."""
        call = f"{self.caller or 'nobody'} dials {self.extension}"
        call += f" through {self.outcall}" if self.outcall else ""
        return f"{call} → {self.expect}"


def tables_beside(path: str) -> list[Path]:
    """The tables in a directory of definitions, or beside a file of definitions."""
    place = Path(path.removeprefix("file:"))
    folder = place if place.is_dir() else place.parent
    return sorted(folder.glob(f"*{ENDING}"))


def read_cases(paths: Iterable[Path]) -> list[Case]:
    """The cases of some tables.

    Raises:
        Failure: one cannot be read, or a row is no case.
    """
    return [case for path in paths for case in _read(path)]


def _read(path: Path) -> list[Case]:
    try:
        lines = read_regular(path, MAX_TABLE).decode("utf-8-sig").splitlines()
    except OSError as error:
        raise Failure(f"{path} cannot be read: {error.strerror}", ExitCode.USAGE) from error
    except UnicodeDecodeError as error:
        raise Failure(f"{path} cannot be read: {error}", ExitCode.USAGE) from error
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]
    reader = csv.DictReader((line for _, line in numbered), skipinitialspace=True)
    columns = reader.fieldnames or []
    missing = [column for column in _REQUIRED if column not in columns]
    unknown = [column for column in columns if column not in COLUMNS]
    if missing or unknown:
        problem = f"has no column {missing[0]}" if missing else f"has the unknown column '{unknown[0]}'"
        raise Failure(f"{path} {problem}; the columns are {', '.join(COLUMNS)}", ExitCode.USAGE)
    return [_case(path, number, row) for (number, _), row in zip(numbered[1:], reader, strict=True)]


def _case(path: Path, line: int, row: dict[str, str | None]) -> Case:
    if None in row or None in row.values():
        raise Failure(f"{path}:{line}: the row has not as many fields as the heading", ExitCode.USAGE)
    field = {column: (row.get(column) or "").strip() for column in COLUMNS}
    expect = field.pop("expect").upper()
    if expect not in _DECISIONS:
        raise Failure(f"{path}:{line}: '{expect}' is no decision; write allow, deny or challenge", ExitCode.USAGE)
    if not field["extension"]:
        raise Failure(f"{path}:{line}: nothing is dialled; write the extension", ExitCode.USAGE)
    return Case(file=str(path), line=line, expect=expect, **field)
