"""Judging patterns where a tenant says how it dials."""

from __future__ import annotations

import pytest
from dialling_cases import Numbers, dialling
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.numbering import numbering_table
from pdp.rules.dialling import form_of
from pdp.rules.dialling.judging import DialledPatterns
from pdp.rules.patterns.parser import parse
from pdp.rules.patterns.places import matches

OFFICES = (("FR", "0"), ("FR", ""), ("GB", "9"), ("US", "9"), ("ES", "0"), ("DE", "0"), ("IT", ""))


def judge(country: str, line: str) -> DialledPatterns:
    """What judges patterns there."""
    return DialledPatterns(numbering_table(country, line))


@pytest.mark.parametrize(
    ("country", "line", "text"),
    [("FR", "0", "_0[1-9]."), ("FR", "0", "_0899."), ("DE", "0", "_0900XXXXXX!"), ("US", "9", "_9[2-9]XNXXXXXX")],
)
def test_a_pattern_without_the_outside_line_is_told(country: str, line: str, text: str) -> None:
    """It was right before there was a line."""
    found = judge(country, line)
    assert found.lacks_line(parse(text))
    assert not found.lacks_line(parse(f"_{line}{text.strip('_')}"))
    assert not judge(country, "").lacks_line(parse(text))


@pytest.mark.parametrize("text", ["_00.", "_!", "_X.", "118", "_2XXX", "_0XX", "_+."])
def test_a_pattern_that_matches_numbers_or_extensions_is_not_told(text: str) -> None:
    """Of colleagues' extensions nothing is said."""
    assert not judge("FR", "0").lacks_line(parse(text))
    assert not judge("FR", "0").is_no_number(parse(text))


def test_a_line_that_no_number_begins_like_may_be_left_out() -> None:
    """In Britain behind 9."""
    assert not judge("GB", "9").lacks_line(parse("_0900."))


def test_a_pattern_without_the_national_prefix_is_told() -> None:
    """Where numbers are dialled with it."""
    assert judge("FR", "").is_no_number(parse("_8XXXXXXXX"))
    assert not judge("ES", "").is_no_number(parse("_8XXXXXXXX"))
    assert not judge("FR", "").is_no_number(parse("_08XXXXXXXX"))


def test_a_pattern_for_foreign_numbers_alone_is_told() -> None:
    """The country's own are matched with + only where that is spelled out."""
    found = judge("FR", "")
    assert [found.only_foreign(parse(text)) for text in ("_+.", "_+[1-9]!", "_+3X.", "_!")] == [True] * 3 + [False]
    assert [found.only_foreign(parse(text)) for text in ("_+33.", "_+44.", "_00.", "+3")] == [False] * 4


@settings(max_examples=300, deadline=None)
@given(office=st.sampled_from(OFFICES), seed=st.integers(0, 2**32))
def test_what_matches_a_form_of_a_number_is_never_called_one_that_matches_none(
    office: tuple[str, str], seed: int
) -> None:
    """Patterns made from the forms of numbers, and cut off anywhere."""
    numbers, (country, line) = Numbers(seed), office
    extension = line + dialling(country, line).numbering.prefix + numbers.national(country)
    for words in dialling(country, line).readings(extension):
        for text, spelled in map(form_of, words):
            number = text.lstrip("+")[len(line) :]
            if spelled or len(number) < 10:
                continue
            cut = numbers.random.randint(1, len(text) - 1)
            pattern = parse(f"_{text[:cut]}.")
            assert matches(pattern.tokens, text)
            assert not judge(country, line).lacks_line(pattern), (text, pattern.text)
            assert not judge(country, line).is_no_number(pattern), (text, pattern.text)
