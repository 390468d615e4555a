"""Telling emergency numbers: all ways to dial one, and nothing that only looks like one."""

from __future__ import annotations

import pytest
from dialling_cases import Numbers, ReferenceReader
from hypothesis import given
from hypothesis import strategies as st

from pdp.rules.dialling import Emergency

OFFICE = Emergency(["112", "15"], "0")


@pytest.mark.parametrize(
    "extension",
    [
        "112",
        "15",
        "0112",
        "0 112",
        "1-1-2",
        "(1)12",
        "١١٢",
        "112#",
        "0112#",
        "*31#112",
        "0#31#15",
        "*31#0112#",
        "\u00a0112",
    ],
)
def test_an_emergency_number_is_told_however_it_is_dialled(extension: str) -> None:
    """With separators, other scripts' digits, a hidden number, a # at the end, and the outside line."""
    assert extension in OFFICE


@pytest.mark.parametrize(
    "extension",
    [
        "",
        "1",
        "1120",
        "00112",
        "9112",
        "+112",
        "+33112",
        "112*1",
        "112##",
        "*112",
        "*31#",
        "112A",
        "112x",
        "0",
        "11 2 0",
    ],
)
def test_what_looks_like_one_is_none(extension: str) -> None:
    """Equal as a whole or not at all."""
    assert extension not in OFFICE


def test_a_line_and_codes_are_a_tenants_own() -> None:
    """What is dialled first in one country is part of the number in another."""
    assert "0112" not in Emergency(["112"])
    assert "*67911" not in Emergency(["911"], "9")
    assert "9*67911" in Emergency(["911"], "9", ("*31#", "#31#", "*67"))


def test_no_numbers_are_none() -> None:
    """An empty list opens nothing."""
    assert "112" not in Emergency([])
    assert Emergency(["15", "112", "15"]).numbers == ("112", "15")


@given(text=st.text(max_size=12) | st.from_regex(r"[0-9*#+ .-]{1,8}", fullmatch=True), seed=st.integers(0, 2**32))
def test_emergency_numbers_are_told_as_the_reference_does(text: str, seed: int) -> None:
    """Any text, and numbers that are written in odd ways."""
    reference = ReferenceReader("FR", "0")
    for extension in (text, Numbers(seed).decorated("112"), Numbers(seed).decorated("0112")):
        assert (extension in OFFICE) == reference.is_emergency(extension, {"112", "15"})


def test_a_padded_flood_is_no_emergency() -> None:
    """Megabytes of blanks are not looked through."""
    assert "112" + " " * 1_000 in OFFICE
    assert "112" + " " * 1_000_000 not in OFFICE
