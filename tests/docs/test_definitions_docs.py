"""The reference of the format is complete."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from loader.definitions import shapes
from loader.definitions.document import check_document

if TYPE_CHECKING:
    from pydantic import BaseModel

PAGE = (Path(__file__).parents[2] / "docs" / "definitions.md").read_text()


@pytest.mark.parametrize(
    ("heading", "shape"),
    [
        ("Tenant", shapes.TenantShape),
        ("User", shapes.UserShape),
        ("Group", shapes.GroupShape),
        ("Outcall", shapes.OutcallShape),
        ("Call permission", shapes.PermissionShape),
        ("Expectation", shapes.ExpectationShape),
        ("Mistake that is meant", shapes.IgnoredShape),
        ("Emergency", shapes.EmergencyShape),
        ("Dialling", shapes.DiallingShape),
    ],
)
def test_every_key_is_in_the_table_of_its_thing(heading: str, shape: type[BaseModel]) -> None:
    """In the order of the code, and no other; required where the code requires it."""
    section = PAGE.split(f"\n### {heading}\n")[1].split("\n#")[0]
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|", section, re.MULTILINE)
    assert [(key, default == "required") for key, default in rows] == [
        (key, field.is_required()) for key, field in shape.model_fields.items()
    ]


def test_the_example_has_no_fault() -> None:
    """Readers copy it."""
    example = PAGE.split("```yaml\n")[1].split("```")[0]
    assert check_document("example.yaml", example.encode()).faults == ()


def test_the_example_of_expectations_has_no_fault() -> None:
    """It goes into the tenant of the first example."""
    examples = [part.split("```")[0] for part in PAGE.split("```yaml\n")[1:]]
    assert check_document("example.yaml", "".join(examples[:2]).encode()).faults == ()
