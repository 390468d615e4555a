"""What docs/wazo.md says of the access that the loader needs."""

from __future__ import annotations

from pathlib import Path

from loader.sources.wazo.events import EVENTS, Kind

DOCS = Path(__file__).parents[2] / "docs" / "wazo.md"


def test_every_access_that_is_needed_is_documented() -> None:
    """A user with the documented policy can read all lists."""
    text = DOCS.read_text(encoding="utf-8")
    assert all(f"confd.{resource}.read" in text for resource in Kind)
    assert "auth.tenants.read" in text


def test_every_event_that_is_bound_is_documented() -> None:
    """Their names are written out, or with what they share left out."""
    table = DOCS.read_text(encoding="utf-8").partition("| event | what is read |")[2].partition("\n\n")[0]
    for event in EVENTS:
        kind, _, what = event.rpartition("_")
        shared = kind.replace("group_call", "user_call").replace("outcall_call", "user_call")
        assert event in table or (shared in table and f"_{what}`" in table), event
