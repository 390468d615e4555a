"""The examples on docs/dialling.md are what happens."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from dialling_cases import TableReader
from dialling_deciding import Undialled

PAGE = Path(__file__).parents[2] / "docs" / "dialling.md"
ROW = re.compile(r"\| ([A-Z]{2}) \| (\S+) \| `([^`]*)` \| (.*) \|")
FORM = re.compile(r"`([^`]*)`(†?)")


def test_examples_are_what_happens() -> None:
    """Every row of the table, form by form."""
    rows = ROW.findall(PAGE.read_text())
    assert len(rows) > 20
    for country, line, dialled, shown in rows:
        reader = TableReader(country, line if line.isdigit() else "")
        if shown.startswith("rejected"):
            with pytest.raises(Undialled):
                reader.readings(dialled)
            continue
        for part, reading in zip(shown.split(" **and** "), reader.readings(dialled), strict=True):
            forms = [(text, "†" if spelled else "") for text, spelled in reading]
            expected = FORM.findall(part)
            assert forms[: len(expected)] == expected, dialled
            assert part.endswith("…") == (len(forms) > len(expected)), dialled
