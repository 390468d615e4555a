"""The threat model promises what tests hold: each row names files of tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def rows() -> list[list[str]]:
    """The cells of each row of the tables about attackers."""
    found = re.search(r"### Attackers, and what stops them\n(.*?)\n### ", PAGE, re.DOTALL)
    assert found
    lines = [line for line in found[1].splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row[0] != "attempt" and not row[0].startswith("---")]


def test_every_promise_names_a_test_that_exists() -> None:
    """By file name, which is unique under tests/."""
    files = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    for attempt, _promise, held, _left in rows():
        named = re.findall(r"`(test_\w+\.py)`", held)
        assert named, f"{attempt}: no test is named"
        assert [files.count(name) for name in named] == [1] * len(named), f"{attempt}: {named}"


def test_the_policy_says_how_to_report_and_what_is_supported() -> None:
    """It is where people look for it, and leads on to the threat model."""
    policy = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    for heading in ("## Reporting", "## Supported versions", "## What counts"):
        assert heading in policy
    assert "docs/security.md#threat-model" in policy
