"""Records of calls that were made: Asterisk's, Wazo's call log, our decision log, or any table with a heading."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Final, NamedTuple

from pdp.runtime.files import lines_of, open_text
from rightcall.programs.exits import ExitCode, Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

FIELDS: Final = ("caller", "extension", "outcall")
_ASTERISK: Final = {"caller": 1, "extension": 2}
"""Columns of Asterisk's Master.csv, which has no heading: accountcode, src, dst, …"""
_ASTERISK_COLUMNS: Final = 16
_KNOWN: Final = {
    "caller": ("caller", "user_uuid", "source_user_uuid", "source_extension", "source_exten", "src"),
    "extension": ("extension", "requested_extension", "destination_extension", "destination_exten", "dst"),
    "outcall": ("outcall", "outcall_id"),
}
"""Headings by field, the most specific ones first."""


class Record(NamedTuple):
    """One call: caller, extension and outcall, with the names of the record."""

    caller: str
    extension: str
    outcall: str


def read_records(path: Path, columns: dict[str, str]) -> Iterator[Record]:
    """The calls of a file of records.

    Args:
        path: the file: JSON lines of the decision log, or CSV with a heading, or without one of Asterisk.
        columns: headings by field, if different from the known ones.

    Raises:
        Failure: the file cannot be read, or has no column for the extension.
    """
    try:
        with open_text(path, errors="replace") as file:
            first = next(lines_of(file, path), "")
            file.seek(0)
            if first.lstrip().startswith("{"):
                yield from _decisions(lines_of(file, path))
            else:
                yield from _table(path, lines_of(file, path), columns)
    except OSError as error:
        raise Failure(f"{path} cannot be read: {error.strerror}", ExitCode.USAGE) from error


def _decisions(lines: Iterable[str]) -> Iterator[Record]:
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # a line that is still being written
        if isinstance(entry, dict) and entry.get("extension"):
            yield Record(str(entry.get("caller") or ""), str(entry["extension"]), str(entry.get("outcall") or ""))


def _table(path: Path, lines: Iterable[str], columns: dict[str, str]) -> Iterator[Record]:
    rows = csv.reader(lines)
    heading = next(rows, [])
    at = _places(path, heading, columns)
    caller, extension, outcall = (at.get(field, -1) for field in FIELDS)
    longest = max(at.values())
    if not _is_heading(heading, at):
        yield Record(heading[caller], heading[extension], "")
    for row in rows:
        if len(row) > longest and row[extension]:
            yield Record(row[caller] if caller >= 0 else "", row[extension], row[outcall] if outcall >= 0 else "")


def _places(path: Path, heading: list[str], columns: dict[str, str]) -> dict[str, int]:
    """The column of each field."""
    names = [name.strip() for name in heading]
    missing = [name for name in columns.values() if name not in names]
    if missing:
        raise Failure(f"{path} has no column '{missing[0]}'; it has {', '.join(names)}", ExitCode.USAGE)
    found = {field: names.index(name) for field, name in columns.items()}
    for field, known in _KNOWN.items():
        place = next((names.index(name) for name in known if name in names), None)
        if place is not None:
            found.setdefault(field, place)
    if "extension" not in found:
        if len(heading) >= _ASTERISK_COLUMNS:
            return dict(_ASTERISK)
        problem = f"{path} has no column for what is dialled; name it with --column extension=NAME"
        raise Failure(f"{problem}; it has {', '.join(names)}", ExitCode.USAGE)
    return found


def _is_heading(heading: list[str], at: dict[str, int]) -> bool:
    """Whether the first row holds headings; in Asterisk's files, that row is a call."""
    return at != _ASTERISK or heading[_ASTERISK["extension"]].strip() in _KNOWN["extension"]
