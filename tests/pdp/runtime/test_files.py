"""Files that people name in options."""

from __future__ import annotations

import ast
import os
from typing import TYPE_CHECKING

import pytest
from programs import ROOT

from pdp.runtime.files import MAX_LINE, UnsuitableFile, lines_of, open_text, read_regular, write_private

if TYPE_CHECKING:
    from pathlib import Path


def test_a_regular_file_is_read_through_links(tmp_path: Path) -> None:
    """Kubernetes' secrets are links to regular files."""
    (tmp_path / "key").write_bytes(b"secret")
    (tmp_path / "link").symlink_to(tmp_path / "key")
    assert read_regular(tmp_path / "link") == b"secret"


@pytest.mark.parametrize("kind", ["endless", "pipe", "large"])
def test_what_is_not_a_small_regular_file_is_an_error(tmp_path: Path, kind: str) -> None:
    """At once: a device has no end, and a pipe may have no beginning."""
    path = tmp_path / "file"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "large":
        path.write_bytes(bytes(1001))
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(UnsuitableFile, match=r"regular|1,000"):
        read_regular(path, 1000)


def test_what_is_written_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Also in place of a file that others may read, and where a link leads; nothing else is left."""
    path, link = tmp_path / "rules.yaml", tmp_path / "link"
    path.write_text("old")
    path.chmod(0o644)
    link.symlink_to(path)
    write_private(link, "PIN 4321")
    assert (path.read_text(), path.stat().st_mode & 0o777, link.is_symlink()) == ("PIN 4321", 0o600, True)
    assert sorted(tmp_path.iterdir()) == [link, path]
    write_private("/dev/null", "nothing is kept")
    with pytest.raises(OSError, match="nowhere"):
        write_private(tmp_path / "nowhere" / "rules.yaml", "")


def test_a_line_without_an_end_is_an_error(tmp_path: Path) -> None:
    """Records may be many, and each is read on its own."""
    path = tmp_path / "records"
    path.write_text("a\nb\n" + "c" * (MAX_LINE + 1))
    with open_text(path) as file:
        lines = lines_of(file, path)
        assert [next(lines), next(lines)] == ["a\n", "b\n"]
        with pytest.raises(UnsuitableFile, match="1,048,576"):
            next(lines)


BOUNDED = {"pdp/runtime/files.py", "loader/sources/file.py"}
"""The files that open others: only what is regular, and with a bound."""
KERNELS = {"pdp/runtime/watchdog.py", "pdp/runtime/cores.py"}
"""Reads the kernel's files, which no person names."""


def unbounded_readings(source: str) -> list[int]:
    """The lines of a program that open or read a file by a function of Python's own."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        names = isinstance(function, ast.Name) and function.id == "open"
        reads = isinstance(function, ast.Attribute) and function.attr in {"read_text", "read_bytes"}
        opens = isinstance(function, ast.Attribute) and function.attr == "open" and _is_path(function.value)
        if names or reads or opens:
            found.append(node.lineno)
    return found


def _is_path(value: ast.expr) -> bool:
    """Whether something that is opened may be a path or a module such as ``os``; a seal and a URL's opener are not."""
    name = value.attr if isinstance(value, ast.Attribute) else getattr(value, "id", "")
    return name.strip("_") not in {"seal", "opener"}


def test_no_program_reads_a_file_without_a_bound() -> None:
    """Files that people name are read by ``pdp.runtime.files``."""
    assert unbounded_readings("a = Path(b).read_text()\nopen(c)\nd.open()\nself._seal.open(e)") == [1, 2, 3]
    paths = (path for folder in ("loader", "pdp", "rightcall") for path in (ROOT / folder).rglob("*.py"))
    found = {str(path.relative_to(ROOT)): unbounded_readings(path.read_text("utf-8")) for path in paths}
    assert {path for path, lines in found.items() if lines} == BOUNDED | KERNELS
