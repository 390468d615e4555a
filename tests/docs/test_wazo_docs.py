"""What docs/wazo.md says of the access that the loader needs."""

from __future__ import annotations

from pathlib import Path

from loader.sources.wazo.rest.mapping import CUT

DOCS = Path(__file__).parents[2] / "docs" / "wazo.md"


def test_every_access_that_is_needed_is_documented() -> None:
    """A user with the documented policy can read all lists."""
    text = DOCS.read_text(encoding="utf-8")
    assert all(f"confd.{resource}.read" in text for resource in CUT)
    assert "auth.tenants.read" in text
