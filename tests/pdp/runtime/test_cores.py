"""The cores that a process may use."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pdp.runtime.cores import available_cores

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("quota", "cores"), [("max 100000", None), ("50000 100000", 1), ("100001 100000", 2), ("9900000 100000", None)]
)
def test_cores_are_those_of_the_container(quota: str, cores: int | None, tmp_path: Path) -> None:
    """Rounded up, and never more than the machine gives."""
    file = tmp_path / "cpu.max"
    file.write_text(quota, encoding="ascii")
    mine = len(os.sched_getaffinity(0))

    assert available_cores(file) == (mine if cores is None else min(cores, mine))
    assert available_cores(tmp_path / "none", (tmp_path / "none", tmp_path / "none")) == mine
