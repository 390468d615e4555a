"""The recipes of CONTRIBUTING.md are complete: a toy is added step by step, and everything else stays green."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from programs import ROOT
from walls import broken_contracts

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = '''"""A toy: one tenant without rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loader.sources.base import Reading
from pdp.rules.model import Tenant

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator


class ToySource:
    """Holds one tenant, always the same."""

    name = "toy"
    patience = float("inf")

    def read(self) -> Reading:
        """The tenant."""
        return Reading((Tenant("54eb71f8-1f4b-4ae4-8730-638062fbe521", "toys"),), (), frozenset(), complete=True)

    def stale_seconds(self) -> float:
        """Nothing changes unseen."""
        return 0.0

    def watch(self, stop: threading.Event) -> Iterator[None]:
        """No change, ever."""
        stop.wait()
        yield

    def close(self) -> None:
        """Nothing is open."""
'''


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The repository, without what is made in it."""
    left = shutil.ignore_patterns(
        ".git", ".venv", "target", "site", ".*_cache", "__pycache__", ".bench", "node_modules"
    )
    shutil.copytree(ROOT, tmp_path / "copy", ignore=left)
    return tmp_path / "copy"


def run(copy: Path, *command: str) -> str:
    """Runs Python in the copy; returns what it prints."""
    path = os.pathsep.join(map(str, (copy, copy / "tests" / "support")))
    done = subprocess.run(
        [sys.executable, *command],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def edit(file: Path, old: str, new: str) -> None:
    """Replaces a text that is there once."""
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


def test_a_source_is_its_folder_and_a_line(copy: Path) -> None:
    """Its URL is read, the walls stand, and the types are right."""
    (copy / "loader" / "sources" / "toy").mkdir()
    (copy / "loader" / "sources" / "toy" / "__init__.py").write_text(SOURCE)
    registry = copy / "loader" / "sources" / "__init__.py"
    edit(registry, '    "file": _open_file,\n', '    "file": _open_file,\n    "toy": lambda *_: ToySource(),\n')
    edit(registry, "\nif TYPE_CHECKING:", "from loader.sources.toy import ToySource\n\nif TYPE_CHECKING:")

    program = "from loader.sources import open_source; print(open_source('toy:box').read().tenants[0].name)"
    assert run(copy, "-c", program).strip() == "toys"
    run(copy, "-c", "from rightcall.cli import main; main()", "validate", "toy:box")
    run(copy, "-m", "mypy", "loader/sources")
    assert broken_contracts(copy) == set()


def test_a_metric_is_its_description_its_counter_and_its_page(copy: Path) -> None:
    """The tests of the metrics pass in the copy, and fail where a step is left out."""
    tests = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/pdp/metrics/test_metrics.py")
    edit(
        copy / "pdp" / "metrics" / "catalog.py",
        '    "rightcall_lockouts_total": Description(',
        '    "rightcall_toys_total": Description("counter", "Toys."),\n    "rightcall_lockouts_total": Description(',
    )
    with pytest.raises(AssertionError, match="rightcall_toys"):
        run(copy, *tests)
    edit(
        copy / "pdp" / "metrics" / "registry.py",
        '        self._lockouts = self._counter("rightcall_lockouts_total")\n',
        '        self._lockouts = self._counter("rightcall_lockouts_total")\n'
        '        self._toys = self._counter("rightcall_toys_total")\n',
    )
    run(copy, "tests/support/metrics_manual.py")
    run(copy, *tests)
