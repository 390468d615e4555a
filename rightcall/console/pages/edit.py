"""Try an edit: a text of definitions, its faults and mistakes, and what it would change. Nothing is published."""

from __future__ import annotations

import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from starlette.responses import Response

from loader.definitions.writing import definitions_text
from loader.sources.file import FileSource
from pdp.rules.model import Tenant
from pdp.runtime.files import read_regular
from rightcall.console.findings import difference, expectations
from rightcall.programs.comparable import comparable
from rightcall.programs.remarks import remarks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from loader.faults import Fault
    from rightcall.console.findings import Difference, Proven
    from rightcall.console.pages.page import Asked
    from rightcall.console.rules import TenantIndex
    from rightcall.programs.remarks import Remark

_MAX_TEXT = 2 * 1024 * 1024
"""Bytes of the largest file to edit; as a form it takes up to twice as many."""
_MOST_LIVE = 5_000
"""Users and permissions of the largest tenant whose rules in force are put into the editor."""
_ANY_PIN = "000000"
_ENDINGS = (".yaml", ".yml", ".json")


class Tried(NamedTuple):
    """The findings about a text."""

    faults: Sequence[Fault]
    remarks: list[Remark]
    expectations: list[Proven]
    differences: list[Difference]


def show(asked: Asked) -> Response:
    """The editor; of a submitted text, the findings as well."""
    path = asked.site.rules.path
    files = _files(path) if path is not None else []
    chosen = asked.text("file")
    file = next((each for each in files if each.name == chosen), files[0] if files else None)
    if asked.form is None:
        try:
            text = read_regular(file, _MAX_TEXT).decode(errors="replace") if file else _live(asked.index)
        except OSError as error:
            return asked.page("problem.html", "edit", problem=f"{file} cannot be edited here: {error.strerror}")
        return asked.page("edit.html", "edit", files=files, file=file, text=text, tried=None, live=path is None)
    text = asked.form.get("text", "")
    if asked.form.get("do") == "download":
        name = file.name if file else "definitions.yaml"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(text, headers=headers, media_type="text/plain; charset=utf-8")
    tried = _tried(text, file, asked)
    template = "findings.html" if asked.partial else "edit.html"
    return asked.page(template, "edit", files=files, file=file, text=text, tried=tried, live=path is None)


def _live(index: TenantIndex | None) -> str:
    """The rules in force as definitions, with a number in the place of each PIN; empty: they are too many to edit."""
    if index is None or len(index.users) + len(index.tenant.call_permissions) > _MOST_LIVE:
        return ""
    permissions = (replace(each, password=each.password and _ANY_PIN) for each in index.tenant.call_permissions)
    return definitions_text([replace(index.tenant, call_permissions=tuple(permissions))])


def _files(path: Path) -> list[Path]:
    """The files of definitions at a path."""
    if path.is_dir():
        return sorted(each for each in path.iterdir() if each.suffix in _ENDINGS and not each.name.startswith("."))
    return [path] if path.is_file() else []


def _tried(text: str, file: Path | None, asked: Asked) -> Tried:
    name = file.name if file else "definitions.yaml"
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory, name)
        place.write_text(text, encoding="utf-8", newline="")
        with closing(FileSource(str(place))) as source:
            reading = source.read()
            found = [remark for remark in remarks(source, reading.tenants, ()) if not remark.reason]
    assumed = asked.site.rules.assumed
    proven = [each for tenant in reading.tenants for each in expectations(tenant, assumed)]
    return Tried(reading.faults, found, proven, list(_differences(asked, reading.tenants)))


def _differences(asked: Asked, tried: Sequence[Tenant]) -> Iterator[Difference]:
    """The effects on each tenant of the text; tenants of other files are not touched."""
    for tenant in tried:
        live = asked.book.index(tenant.uuid)
        before, now, _ = comparable(live.tenant if live else Tenant(tenant.uuid, tenant.name), tenant, None)
        if before != now:
            yield difference(before, now, asked.site.rules.assumed)
