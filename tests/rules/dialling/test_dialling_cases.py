"""The examples of the specification, and every case of ``tests/cases/dialling``, by reference and by tables."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from dialling_cases import CASES, FILES, ReferenceReader, TableReader, suite
from dialling_deciding import Undialled

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dialling_deciding import Reader

READERS = (ReferenceReader, TableReader)
EXAMPLES = json.loads((CASES / "dialling-examples.json").read_text())


def test_the_cases_are_there() -> None:
    """The files are where the tests look for them."""
    assert len(EXAMPLES) == 25
    assert sum(len(json.loads(path.read_text())["cases"]) for path in FILES) == 4620


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: f"{e['country']} {e['outside_line']} {e['dialled']}")
def test_examples_are_read_as_the_specification_says(
    example: dict[str, Any], reader: Callable[[str, str], Reader]
) -> None:
    """Each reading with its forms, and which of them are marked."""
    country = reader(example["country"], example["outside_line"])
    if example["readings"] is None:
        with pytest.raises(Undialled):
            country.readings(example["dialled"])
        return
    readings = [
        [f"{text}{'†' if spelled else ''}" for text, spelled in reading]
        for reading in country.readings(example["dialled"])
    ]
    if example.get("more"):
        readings = [reading[: len(known)] for reading, known in zip(readings, example["readings"], strict=True)]
    assert readings == example["readings"]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_cases_are_decided_as_expected(path: Path, reader: Callable[[str, str], Reader]) -> None:
    """Decision, stage, reason, who is known, and what opens a challenge."""
    deciding, cases = suite(path, reader)
    for case in cases:
        assert deciding.decide(case) == case["expected"], case
