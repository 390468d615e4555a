"""The walls between folders: import-linter's contracts, and the core's rule of the standard library alone."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from programs import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGES = ("pdp", "loader", "rightcall")


def copy_of_the_product(directory: Path) -> Path:
    """A copy of the packages and of the contracts, to break something in."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, directory / package, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", directory)
    return directory


def broken_contracts(directory: Path) -> set[str]:
    """The names of the contracts that the packages in a directory break."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert any(line.startswith("Contracts:") for line in lines), done.stdout + done.stderr
    return {line.partition(" BROKEN")[0] for line in lines if " BROKEN" in line}


def foreign_imports(package: Path, allowed: str) -> Iterator[str]:
    """Every import below a directory that is neither the standard library's nor one of ``allowed``.

    Yields:
        The file, the line and the module.
    """
    for file in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            for module in _modules(node):
                top = module.partition(".")[0]
                if top not in sys.stdlib_module_names and not f"{module}.".startswith(f"{allowed}."):
                    yield f"{file.relative_to(package)}:{node.lineno} {module}"  # type: ignore[attr-defined] # an import


def _modules(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f"{'.' * node.level}{node.module or ''}"]
    return []
