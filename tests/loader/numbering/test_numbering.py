"""Numbering tables against libphonenumber itself: its regular expressions, and its opinion of numbers."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys

import phonenumbers
import pytest
from dialling_cases import COUNTRIES, LINES, Numbers
from dialling_reference import Country, strings
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumber
from phonenumbers.phonemetadata import PhoneMetadata

from loader.numbering import UnknownCountry, emergency_numbers, numbering_table
from loader.numbering.expressions import ExpressionError, parse
from loader.numbering.expressions import strings as strings_of
from loader.numbering.languages import Languages
from loader.numbering.table import international_prefixes
from loader.numbering.trunk import trunk_automaton
from loader.numbering.words import WordsWriter
from pdp.rules.dialling.numbering import NumberingTable

DIGITS = "0123456789"


def opened(country: str, line: str = "0") -> NumberingTable:
    """A table, opened."""
    return NumberingTable(memoryview(numbering_table(country, line)))


@pytest.mark.parametrize("country", COUNTRIES)
def test_own_numbers_are_valid_and_bare_as_libphonenumber_has_it(country: str) -> None:
    """Numbers that look real, and any digits."""
    table, reference, numbers = opened(country), Country(country), Numbers(len(country))
    for _ in range(60):
        for number in (numbers.national(country), numbers.digits()):
            assert table.is_valid(number) == reference.valid(number), number
            assert table.is_bare(number) == reference.bare(number), number


@pytest.mark.parametrize("country", COUNTRIES)
def test_what_stands_before_a_number_is_taken_off_as_the_expression_does(country: str) -> None:
    """``national_prefix_for_parsing`` and its transform rule, on numbers behind everything that may stand there."""
    metadata = PhoneMetadata.metadata_for_region(country)
    assert metadata is not None
    expression, rule = metadata.national_prefix_for_parsing, metadata.national_prefix_transform_rule
    if not expression:
        return
    table, numbers = opened(country), Numbers(7)
    for _ in range(100):
        text = numbers.random.choice(("", "0", "90", "1", "8", "0015", "01")) + numbers.national(country)
        match = re.match(expression, text)
        expected = ""
        if match and match.end():
            kept = match.expand(rule) if rule and match.groups() and match.groups()[-1] is not None else ""
            expected = kept + text[match.end() :]
        if len(expected) >= 7:
            assert table._national(text) == expected, text


@pytest.mark.parametrize("country", COUNTRIES)
def test_international_prefixes_are_all_that_the_expression_stands_for(country: str) -> None:
    """And the preferred one, and 00."""
    metadata = PhoneMetadata.metadata_for_region(country)
    assert metadata is not None
    preferred = (metadata.preferred_international_prefix or "").replace("~", "")
    expected = {*strings(metadata.international_prefix or ""), preferred, "00"} - {""}
    table = numbering_table(country, "")
    view = memoryview(table)
    assert set(international_prefixes(country)) == expected
    assert set(NumberingTable(view).international_prefixes(view)) == expected


def test_foreign_numbers_are_valid_as_libphonenumber_has_it() -> None:
    """Of every country code, those of no country included."""
    table, choose = opened("FR"), random.Random(5)
    for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items():
        country = phonenumbers.country_code_for_region(regions[0]) and regions[0]
        example = phonenumbers.example_number_for_non_geo_entity(code) if regions[0] == "001" else None
        for _ in range(30):
            number = Numbers(choose.randrange(10**9)).national(country) if country else ""
            if example is not None:
                number = str(example.national_number)[:-2] + "".join(choose.choices(DIGITS, k=2))
            if number and number[0] != "0":
                valid = phonenumbers.is_valid_number(PhoneNumber(code, int(number)))
                assert table.is_valid(f"+{code}{number}") == valid, (code, number)


def test_tables_are_equal_wherever_they_are_made() -> None:
    """In another process, in another order, with other hashes: snapshots of equal rules stay equal."""
    program = (
        "import hashlib, sys; from loader.numbering import numbering_table;"
        "print(*(hashlib.sha256(numbering_table(*a.split('/'))).hexdigest() for a in sys.argv[1:]))"
    )
    arguments = ["US/9", "FR/0", "BR/", "CN/0", "/0"]
    made = {}
    for order, seed in ((arguments, "1"), (arguments[::-1], "2")):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        run = subprocess.run(
            [sys.executable, "-c", program, *order], env=environment, capture_output=True, text=True, check=True
        )
        made[seed] = dict(zip(order, run.stdout.split(), strict=True))
    assert made["1"] == made["2"]


def test_tables_are_small() -> None:
    """Foreign numbers are in them where they can be asked about; and never more than the world."""
    sizes = {(country, line): len(numbering_table(country, line)) for country in COUNTRIES for line in LINES}
    assert max(sizes.values()) < 66_000
    assert sizes["FR", ""] < 300
    assert sizes["US", "9"] < 5_000
    assert sorted(size for (_, line), size in sizes.items() if not line)[len(COUNTRIES) // 2] < 500


@pytest.mark.parametrize("country", ["XX", "fr", "France", "001", "FR "])
def test_an_unknown_country_is_said(country: str) -> None:
    """With what to write instead."""
    for make in (lambda: numbering_table(country, ""), lambda: emergency_numbers(country)):
        with pytest.raises(UnknownCountry, match="ISO 3166") as raised:
            make()
        assert raised.value.country == country


def test_emergency_numbers_are_those_of_the_metadata() -> None:
    """Some of which are missing there, as the documentation says."""
    assert emergency_numbers("FR") == ("112", "15", "17", "18")
    assert emergency_numbers("US") == ("112", "911")
    assert emergency_numbers("GB") == ("112", "999")
    for country in COUNTRIES:
        for number in emergency_numbers(country):
            assert phonenumbers.is_emergency_number(number, country), (country, number)


@pytest.mark.parametrize("expression", ["a", "1+", "1*", "(?=1)1", "[^1]", "(1", "1)", "1{2,}", "?", r"\D", "1.2"])
def test_what_is_outside_the_dialect_is_not_half_understood(expression: str) -> None:
    """A new release of the metadata may bring it."""
    with pytest.raises(ExpressionError, match=re.escape(repr(expression))):
        parse(expression)


def test_a_dollar_stands_for_no_string() -> None:
    """It is a place, and only what stands before a number may end there."""
    with pytest.raises(ExpressionError):
        list(strings_of(parse("1$")))
    with pytest.raises(TypeError):
        Languages().matching(parse("1$"), 1)


def test_a_transform_rule_of_more_than_one_group_is_refused() -> None:
    """Actions could not say it."""
    with pytest.raises(ExpressionError, match="more than digits and one group"):
        trunk_automaton(Languages(), "(1)(2)", r"\2\1")


@st.composite
def expressions(draw: st.DrawFn) -> str:
    """Expressions of the dialect, whose sets are small."""
    atoms = st.sampled_from(["0", "1", "2", "[01]", "[0-2]", r"\d", "12"])
    part = st.recursive(
        atoms,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3).map("|".join).map("(?:{})".format),
            st.lists(inner, min_size=1, max_size=3).map("|".join).map("({})".format),
            st.tuples(inner, st.sampled_from(["?", "{2}", "{0,1}", "{1,2}"])).map(lambda t: f"(?:{t[0]}){t[1]}"),
            st.lists(inner, min_size=1, max_size=2).map("".join),
        ),
        max_leaves=5,
    )
    return draw(part)


@given(expression=expressions(), texts=st.lists(st.text("012", max_size=7), max_size=20))
def test_languages_hold_what_expressions_match(expression: str, texts: list[str]) -> None:
    """And their smallest automata, in words, accept it."""
    languages = Languages()
    node = languages.matching(parse(expression), languages.end)
    for text in texts:
        assert bool(languages.holds(node, text)) == bool(re.fullmatch(expression, text))
    other = languages.matching(parse("(?:0|1)[01]{0,3}"), languages.end)
    for text in texts:
        one, two = bool(languages.holds(node, text)), bool(languages.holds(other, text))
        assert bool(languages.holds(languages.union(node, other), text)) == (one or two)
        assert bool(languages.holds(languages.intersection(node, other), text)) == (one and two)
        assert bool(languages.holds(languages.without(node, other), text)) == (one and not two)


@given(
    branches=st.lists(st.tuples(expressions(), st.sampled_from(["", "", "$"])), min_size=1, max_size=3),
    texts=st.lists(st.text("012", max_size=9), max_size=20),
)
def test_matches_are_those_that_a_regular_expression_prefers(branches: list[tuple[str, str]], texts: list[str]) -> None:
    """Not the longest, but the first branch's, and the longest repetition's; with $ only at the text's end."""
    expression = "|".join(f"(?:{branch}){end}" for branch, end in branches)
    languages = Languages()
    node, _ = trunk_automaton(languages, expression, None)
    for text in texts:
        match = re.match(expression, text)
        if match is None or match.end():  # an empty match is no prefix, and what is preferred to it is no matter
            assert _taken(languages, node, text) == (match.end() if match else 0)


def _taken(languages: Languages, node: int, text: str) -> int:
    """How many characters the automaton takes off a text."""
    writer = WordsWriter(languages)
    table = NumberingTable(memoryview(numbering_table("FR", "")))
    table._trunk = writer.add(node, actions=True)
    table._words = memoryview(writer.words.tobytes()).cast("H")
    return table._trunk_match(text)[1]
