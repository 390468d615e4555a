"""Try an edit: a text of definitions, its faults and mistakes, and what it would change. Nothing is published."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from starlette.responses import Response

from loader.sources.file import FileSource
from pdp.rules.model import Tenant
from pdp.runtime.files import read_regular
from rightcall.console.findings import difference, expectations
from rightcall.programs.remarks import remarks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loader.faults import Fault
    from rightcall.console.findings import Difference, Proven
    from rightcall.console.pages.page import Asked
    from rightcall.programs.remarks import Remark

_MAX_TEXT = 2 * 1024 * 1024
"""Bytes of the largest file to edit; as a form it takes up to twice as many."""
_ENDINGS = (".yaml", ".yml", ".json")


class Tried(NamedTuple):
    """The findings about a text."""

    faults: Sequence[Fault]
    remarks: list[Remark]
    expectations: list[Proven]
    differences: list[Difference]


def show(asked: Asked) -> Response:
    """The editor; of a submitted text, the findings as well."""
    files = _files(Path(asked.site.rules.name))
    chosen = asked.text("file")
    file = next((each for each in files if each.name == chosen), files[0] if files else None)
    if asked.form is None:
        try:
            text = read_regular(file, _MAX_TEXT).decode(errors="replace") if file else ""
        except OSError as error:
            return asked.page("problem.html", "edit", problem=f"{file} cannot be edited here: {error.strerror}")
        return asked.page("edit.html", "edit", files=files, file=file, text=text, tried=None)
    text = asked.form.get("text", "")
    if asked.form.get("do") == "download":
        name = file.name if file else "definitions.yaml"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(text, headers=headers, media_type="text/plain; charset=utf-8")
    tried = _tried(text, file, asked.book.tenants)
    template = "findings.html" if asked.partial else "edit.html"
    return asked.page(template, "edit", files=files, file=file, text=text, tried=tried)


def _files(path: Path) -> list[Path]:
    """The files of definitions at a path."""
    if path.is_dir():
        return sorted(each for each in path.iterdir() if each.suffix in _ENDINGS and not each.name.startswith("."))
    return [path] if path.is_file() else []


def _tried(text: str, file: Path | None, live: Sequence[Tenant]) -> Tried:
    name = file.name if file else "definitions.yaml"
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory, name)
        place.write_text(text, encoding="utf-8", newline="")
        with closing(FileSource(str(place))) as source:
            reading = source.read()
            found = [remark for remark in remarks(source, reading.tenants, ()) if not remark.reason]
    proven = [each for tenant in reading.tenants for each in expectations(tenant)]
    return Tried(reading.faults, found, proven, _differences(live, reading.tenants))


def _differences(live: Sequence[Tenant], tried: Sequence[Tenant]) -> list[Difference]:
    """The effects on each tenant of the text; tenants of other files are not touched."""
    before = {tenant.uuid: tenant for tenant in live}
    return [
        difference(before.get(tenant.uuid, Tenant(tenant.uuid, tenant.name)), tenant)
        for tenant in tried
        if before.get(tenant.uuid) != tenant
    ]
