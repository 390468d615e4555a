"""Loader and server in one process: a real file, watched."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from given import ACME, ALICE
from waiting import until

from loader.sources import open_source
from pdp.metrics.registry import Metrics
from pdp.rules.model import PasswordOverride
from pdp.snapshots.current import CurrentSnapshots
from rightcall.programs.embedded import EmbeddedLoader
from rightcall.programs.exits import Failure
from rightcall.programs.local import Local

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loader.report import SyncReport

RULES = """\
tenants:
  - uuid: {tenant}
    users: [{{uuid: {user}}}]
    call_permissions:
      - {{id: 1, name: barred, extensions: ["{extension}"], users: [{user}]}}
"""


def rules(extension: str, tenant: str = ACME) -> str:
    """A file that denies Alice an extension."""
    return RULES.format(tenant=tenant, user=ALICE, extension=extension)


class Embedded:
    """An embedded loader with what it loads into."""

    def __init__(self, path: Path) -> None:
        self.current = CurrentSnapshots(f"definitions {path}")
        self.metrics = Metrics(self.current, "test")
        source = open_source(str(path), recheck=0.2)
        self.loader = EmbeddedLoader(source, self.current, self.metrics, password_override=PasswordOverride.ALL)
        self.reports: list[SyncReport] = []

    def denies(self, extension: str) -> bool:
        """Whether Alice is denied an extension."""
        held = self.current.get(ACME)
        return held is not None and held.snapshot.decide(ALICE, extension, "").decision.name == "DENY"

    def reloads(self, result: str, cause: str = "") -> float:
        """How many reloads came to this."""
        labels = {"source": "definitions", "result": result, "cause": cause}
        return self.metrics.registry.get_sample_value("rightcall_reloads_total", labels) or 0.0


@contextlib.contextmanager
def watching(path: Path) -> Iterator[Embedded]:
    """An embedded loader that has loaded once and watches."""
    made = Embedded(path)
    made.loader.load()
    made.loader.start(made.reports.append)
    try:
        yield made
    finally:
        made.loader.stop()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with good rules."""
    made = tmp_path / "rules.yaml"
    made.write_text(rules("118"))
    return made


def test_an_edit_takes_effect(path: Path) -> None:
    """Without a restart; and the report says what was published."""
    with watching(path) as embedded:
        assert embedded.denies("118")
        path.write_text(rules("117"))
        until(lambda: embedded.denies("117"), "the edit is loaded")
        assert not embedded.denies("118")
        until(lambda: any(report.published for report in embedded.reports), "the report says so")


@pytest.mark.parametrize("bad", ["tenants: [", rules("_[1-"), "", "tenants: 5"])
def test_a_bad_edit_keeps_the_old_rules_and_says_what_is_wrong(path: Path, bad: str) -> None:
    """What was loaded decides on, the status tells the fault, and the next good edit ends it."""
    with watching(path) as embedded:
        path.write_text(bad)
        until(lambda: embedded.current.source_error, "the fault is told")
        assert "rules.yaml" in embedded.current.source_error
        assert embedded.denies("118")
        assert embedded.reloads("failure", "faults") == 1
        path.write_text(rules("117"))
        until(lambda: embedded.denies("117"), "the repair is loaded")
        until(lambda: embedded.current.source_error == "", "the status says that all is well")


def test_a_file_that_vanishes_takes_no_answer_away(path: Path) -> None:
    """Deleted, then back: as if nothing had happened."""
    with watching(path) as embedded:
        text = path.read_text()
        path.unlink()
        until(lambda: embedded.current.source_error, "it is told")
        assert embedded.denies("118")
        assert embedded.reloads("failure", "unreadable") == 1
        path.write_text(text)
        until(lambda: embedded.current.source_error == "", "all is well again")
        assert embedded.denies("118")


def test_a_tenant_deleted_from_the_file_goes_away(path: Path) -> None:
    """When the file is good and does not name it any more."""
    other = "9f6a2f0e-7c1b-4d53-8a53-0d1f5a1f7b11"
    with watching(path) as embedded:
        path.write_text(f"tenants: [{{uuid: {other}}}]\n")
        until(lambda: embedded.current.get(ACME) is None, "it is gone")
        assert [held.snapshot.tenant for held in embedded.current.held()] == [other]


def test_the_same_faults_are_told_once(path: Path) -> None:
    """A fault that nobody repairs does not fill the log at every re-check."""
    with watching(path) as embedded:
        path.write_text(rules("_[1-"))
        until(lambda: embedded.reports, "the fault is told")
        path.write_text(rules("_[1-") + "# still wrong\n")
        path.write_text(rules("117"))
        until(lambda: embedded.denies("117"), "the repair is loaded")
        assert sum(bool(report.errors) for report in embedded.reports) == 1


def test_a_state_directory_that_cannot_be_used_is_an_error_that_says_so(path: Path) -> None:
    """And not a defect: a file, or a device."""
    with pytest.raises(Failure, match="make it writable for this user"):
        Local(str(path), state_dir=path)
