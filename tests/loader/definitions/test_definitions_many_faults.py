"""A document with more faults than anybody reads: the first ones, errors before warnings, and a count."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from given import ACME, ALICE

from loader.definitions.document import MOST_FAULTS
from loader.faults import Severity
from loader.sources.file import FileSource

if TYPE_CHECKING:
    from pathlib import Path


def faults_of(path: Path, count: int) -> list[tuple[str, Severity]]:
    """What is told of a document with one warning for each of so many permissions, and, last of all, one error."""
    permissions: list[dict[str, object]] = [
        {"id": number, "name": "x", "extensions": [], "users": [ALICE]} for number in range(1, count + 1)
    ]
    permissions.append({"id": count + 1, "name": "last", "extensions": ["_[0-9"], "users": [ALICE]})
    tenant = {"uuid": ACME, "name": "acme", "users": [{"uuid": ALICE}], "call_permissions": permissions}
    path.write_text(json.dumps({"tenants": [tenant]}))
    reading = FileSource(str(path)).read()
    assert not reading.tenants
    assert reading.faulty == {ACME}
    return [(fault.problem, fault.severity) for fault in reading.faults]


def test_of_very_many_faults_the_first_are_told_and_how_many_there_are(tmp_path: Path) -> None:
    """The error at the very end is among them, since it keeps the tenant back."""
    few = faults_of(tmp_path / "few.json", 10)
    many = faults_of(tmp_path / "many.json", 20_000)
    assert len(few) == 11
    assert len(many) == MOST_FAULTS + 1
    assert ("19,001 more faults are not told of", Severity.ERROR) in many
    assert "'[' is never closed" in " ".join(problem for problem, _ in many)
