"""The walls between folders hold: what would break one is noticed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from programs import ROOT
from walls import broken_contracts, copy_of_the_product, foreign_imports

if TYPE_CHECKING:
    from pathlib import Path

BREAKS = {
    "the rooms of the server stand on each other, roof first": (
        "pdp/snapshots/current.py",
        "import pdp.services.decisions",
    ),
    "the rooms of the rules stand on each other": ("pdp/rules/snapshot/snapshot.py", "import pdp.rules.analysis"),
    "the server never compiles: it reads snapshots": ("pdp/services/decisions.py", "import pdp.rules.compiler.writer"),
    "no folder stands in a circle": ("loader/errors.py", "import loader.cycle"),
    "loader knows pdp.rules, and of the rest of pdp the description of a metric": (
        "loader/cycle.py",
        "import pdp.errors",
    ),
    "texts are read without following edits": (
        "loader/definitions/text/json.py",
        "import loader.definitions.following.held",
    ),
    "pdp never imports the loader or the command line": ("pdp/app.py", "import rightcall.cli"),
    "programs and the client need no command line": ("rightcall/programs/serving.py", "import rightcall.cli.output"),
}
"""By contract: a file, and an import in it that the contract forbids."""


@pytest.mark.parametrize("contract", BREAKS)
def test_an_import_through_a_wall_is_noticed(contract: str, tmp_path: Path) -> None:
    """In a copy, so that it is known that the check would fail here."""
    directory = copy_of_the_product(tmp_path)
    file, line = BREAKS[contract]
    with (directory / file).open("a") as opened:
        opened.write(f"\n{line}\n")
    assert contract in broken_contracts(directory)


def test_every_wall_is_tried() -> None:
    """A contract without a break of its own might forbid nothing."""
    text = (ROOT / "pyproject.toml").read_text()
    names = [line.partition('"')[2].rstrip('"') for line in text.splitlines() if line.startswith("name = ")]
    assert set(names) - {"rightcall"} == set(BREAKS)


def test_the_rules_are_the_standard_library_and_themselves() -> None:
    """So that they can be read, tested and carried elsewhere alone."""
    assert list(foreign_imports(ROOT / "pdp" / "rules", "pdp.rules")) == []


@pytest.mark.parametrize(
    "line", ["import jwt", "from urllib3 import Retry", "import pdp.errors", "from . import model"]
)
def test_any_other_import_of_the_rules_is_noticed(line: str, tmp_path: Path) -> None:
    """Within a function, too."""
    (tmp_path / "module.py").write_text(f"def late():\n    {line}\n")
    assert len(list(foreign_imports(tmp_path, "pdp.rules"))) == 1
