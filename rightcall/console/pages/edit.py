"""Try an edit: a text of definitions, its faults and mistakes, and what it would change. Nothing is published."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from starlette.responses import Response

from loader.definitions.writing import definitions_text
from pdp.runtime.files import read_regular
from rightcall.cases.table import ENDING, tables_beside
from rightcall.console.trial import MAX_TEXT, Edit, tried

if TYPE_CHECKING:
    from pathlib import Path

    from rightcall.console.pages.page import Asked
    from rightcall.console.rules import TenantIndex

_MOST_LIVE = 5_000
"""Users and permissions of the largest tenant whose rules in force are put into the editor."""
_ANY_PIN = "000000"
_ENDINGS = (".yaml", ".yml", ".json")


class _Files(NamedTuple):
    """The files that may be edited.

    Attributes:
        all: the files.
        chosen: the one in the editor; None: there is none.
        table: a table of cases beside them; None: there is none.
    """

    all: list[Path]
    chosen: Path | None
    table: Path | None


def show(asked: Asked) -> Response:
    """The editor; of a submitted text, the findings as well."""
    files = _files(asked.site.rules.path, asked.text("file"))
    if asked.form is None:
        try:
            text = _read(files.chosen) if files.chosen else _live(asked.index)
            cases = _read(files.table) if files.table else ""
        except OSError as error:
            return asked.page("problem.html", "edit", problem=f"the files cannot be edited here: {error.strerror}")
        return _page(asked, files, text, cases)
    text, cases = asked.form.get("text", ""), asked.form.get("cases", "")
    if asked.form.get("do") == "download":
        name = files.chosen.name if files.chosen else "definitions.yaml"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(text, headers=headers, media_type="text/plain; charset=utf-8")
    return _page(asked, files, text, cases, trying=True)


def _page(asked: Asked, files: _Files, text: str, cases: str, *, trying: bool = False) -> Response:
    found = None
    if trying:
        name = files.chosen.name if files.chosen else "definitions.yaml"
        others = [each for each in files.all if each != files.chosen]
        found = tried(Edit(text, name, others, cases), asked.book, asked.site.rules.assumed)
    return asked.page(
        "findings.html" if asked.partial else "edit.html",
        "edit",
        files=files.all,
        file=files.chosen,
        text=text,
        cases=cases,
        tried=found,
        live=asked.site.rules.path is None,
    )


def _live(index: TenantIndex | None) -> str:
    """The rules in force as definitions, with a number in the place of each PIN; empty: they are too many to edit."""
    if index is None or len(index.users) + len(index.tenant.call_permissions) > _MOST_LIVE:
        return ""
    permissions = (replace(each, password=each.password and _ANY_PIN) for each in index.tenant.call_permissions)
    return definitions_text([replace(index.tenant, call_permissions=tuple(permissions))])


def _read(path: Path) -> str:
    return read_regular(path, MAX_TEXT).decode(errors="replace")


def _files(path: Path | None, wanted: str) -> _Files:
    """The files of definitions at a path."""
    if path is None:
        return _Files([], None, None)
    found = [path] if path.is_file() else []
    if path.is_dir():
        found = sorted(each for each in path.iterdir() if each.suffix in _ENDINGS and not each.name.startswith("."))
    chosen = next((each for each in found if each.name == wanted), found[0] if found else None)
    tables = tables_beside(str(path))
    own = [each for each in tables if chosen is not None and each.name == f"{chosen.stem}{ENDING}"]
    return _Files(found, chosen, next(iter(own or tables), None))
