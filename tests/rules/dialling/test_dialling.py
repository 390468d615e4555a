"""Reading extensions: laws that hold for every number, and the corners one by one."""

from __future__ import annotations

import pytest
from dialling_cases import COUNTRIES, LINES, Numbers, ReferenceReader, TableReader, dialling
from dialling_deciding import Undialled
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.numbering import numbering_table
from pdp.rules.dialling import MAX_WORD_LENGTH, Dialling, DiallingPlan, Undiallable, form_of
from pdp.rules.model import MAX_EXTENSION_LENGTH
from pdp.rules.patterns.alphabet import MARK, STAR, mask_of
from pdp.rules.patterns.alphabet import MARK_MASK as MARK_TOKEN
from pdp.rules.patterns.parser import parse

SEEDS = st.integers(0, 2**32)
MANY_PREFIXES = ("AU", "BR", "CL", "CO", "FI", "HK", "ID", "KR", "TH", "UG")


def forms(country: str, line: str, extension: str) -> list[list[tuple[str, int]]]:
    """The readings of an extension, in no order of their forms."""
    return [sorted(reading) for reading in TableReader(country, line).readings(extension)]


@settings(max_examples=400, deadline=None)
@given(country=st.sampled_from(COUNTRIES), line=st.sampled_from((*LINES, "00", "1", "7", "8")), seed=SEEDS)
def test_tables_read_as_the_reference_does(country: str, line: str, seed: int) -> None:
    """Whatever is dialled, wherever, behind whatever line."""
    reference, numbers = ReferenceReader(country, line), Numbers(seed)
    for _ in range(5):
        extension = numbers.dialled(reference.country)
        try:
            expected = [sorted(reading) for reading in reference.readings(extension)]
        except Undialled:
            with pytest.raises(Undiallable):
                dialling(country, line).readings(extension)
        else:
            assert forms(country, line, extension) == expected, extension


@settings(max_examples=300, deadline=None)
@given(country=st.sampled_from(COUNTRIES), line=st.sampled_from(LINES), seed=SEEDS)
def test_every_form_reads_back_as_its_number(country: str, line: str, seed: int) -> None:
    """So forms depend on the number, never on the way it was dialled.

    The national form that is there for want of any other unmarked one need not.
    """
    numbers = Numbers(seed)
    extension = numbers.dialled(ReferenceReader(country, line).country, sound=True)
    for reading in forms(country, line, extension):
        if len(reading) > 1 and all(text.lstrip("+").isdigit() for text, _ in reading):
            some = numbers.random.sample(reading, min(len(reading), 12))
            back = {(text, bool(spelled)): forms(country, line, text)[0] == reading for text, spelled in some}
            unmarked = [reads for (_, marked), reads in back.items() if not marked]
            assert all(reads for (_, marked), reads in back.items() if marked), (extension, back)
            own = not any(text.startswith("+") and not spelled for text, spelled in reading)
            assert all(unmarked) or (own and not any(unmarked)), (extension, back)


@settings(max_examples=200, deadline=None)
@given(country=st.sampled_from(COUNTRIES), line=st.sampled_from(LINES), seed=SEEDS)
def test_separators_and_scripts_change_nothing(country: str, line: str, seed: int) -> None:
    """A number in somebody's address book is the number that is dialled."""
    numbers = Numbers(seed)
    plain = numbers.national(country)
    assert forms(country, line, numbers.separated(plain)) == forms(country, line, plain)


@settings(max_examples=200, deadline=None)
@given(country=st.sampled_from(COUNTRIES), line=st.sampled_from(("", "0", "9")), seed=SEEDS)
def test_own_numbers_dialled_from_anywhere_are_one(country: str, line: str, seed: int) -> None:
    """As at home, behind + and behind 00, if it is valid."""
    numbering = dialling(country, line).numbering
    number = Numbers(seed).national(country)
    if not numbering.is_valid(number):
        return
    written = [f"+{numbering.code}{number}", f"{line}00{numbering.code}{number}", f"{line}{numbering.prefix}{number}"]
    readings = [forms(country, line, text)[0] for text in written]
    own = [reading for reading in readings if (f"+{numbering.code}{number}", len(numbering.code) + 1) in reading]
    assert own, (country, number)
    assert all(reading == own[0] for reading in own)
    assert readings[0] == own[0] or number.startswith(numbering.prefix or "x")


def matching(patterns: list[str], words: list[tuple[str, int]]) -> set[str]:
    """The patterns that match one of some forms, as the specification says it."""
    found = set()
    for pattern in patterns:
        plain = pattern.replace("_", "")
        for text, spelled in words:
            if plain.startswith(text[:spelled]) and _matches(parse(pattern).tokens, text):
                found.add(pattern)
    return found


def _matches(tokens: tuple[int, ...], text: str) -> bool:
    """Whether tokens match a text, MARK included."""
    places = {0}
    for character in text:
        places = _closed(tokens, places)
        mask = MARK_TOKEN if character == MARK else mask_of(character) if character not in "ABCD" else 1 << 14
        places = {
            place + (tokens[place] != STAR)
            for place in places
            if place < len(tokens) and (tokens[place] & mask or (tokens[place] == STAR and character != MARK))
        }
    return len(tokens) in _closed(tokens, places)


def _closed(tokens: tuple[int, ...], places: set[int]) -> set[int]:
    closed = set()
    for place in places:
        while place < len(tokens) and tokens[place] == STAR:
            closed.add(place)
            place += 1  # noqa: PLW2901 - the STARs behind one another
        closed.add(place)
    return closed


def _patterns(numbers: Numbers, country: str, line: str) -> list[str]:
    """Patterns such as people write, and some that spell prefixes out."""
    reference = ReferenceReader(country, line).country
    choose = numbers.random.choice
    starts = ["", line, line + "00", line + "0", "+", "_+", line + choose(reference.prefixes), "_X", "_!", "_[01]"]
    starts += [f"_{choose(('', line))}{choose(['+', *reference.prefixes])}{reference.cc}" for _ in range(3)]
    ends = (".", "!", "X.", "[1-9].", "XXXX", "", numbers.national(country)[:2] + ".")
    return [pattern for _ in range(8) if parse_able(pattern := choose(starts) + choose(ends))]


def parse_able(pattern: str) -> bool:
    """Whether it says anything."""
    return bool(pattern.replace("_", ""))


@settings(max_examples=150, deadline=None)
@given(country=st.one_of(st.sampled_from(MANY_PREFIXES), st.sampled_from(COUNTRIES).filter("CN".__ne__)), seed=SEEDS)
@pytest.mark.parametrize("line", LINES)
def test_words_of_a_plan_match_as_all_forms_do(line: str, country: str, seed: int) -> None:
    """What a plan leaves out, none of its patterns can tell apart; marked tokens are matched by what they spell."""
    numbers = Numbers(seed)
    patterns = _patterns(numbers, country, line)
    plan = DiallingPlan(numbering_table(country, line), [(text, parse(text).tokens) for text in patterns])
    opened = Dialling(memoryview(plan.section))
    for _ in range(4):
        extension = numbers.dialled(ReferenceReader(country, line).country, sound=True)
        full = TableReader(country, line).readings(extension)
        planned = opened.readings(extension)
        assert len(planned) == len(full)
        for words, reading in zip(planned, full, strict=True):
            assert max(map(len, words), default=0) <= MAX_WORD_LENGTH
            got = {
                text
                for text in patterns
                for tokens in (parse(text).tokens, *plan.marked(text, parse(text).tokens))
                if any(_matches(tokens, word) for word in words)
            }
            assert got == matching(patterns, reading), (extension, words)
            assert plan.uses_marks or not any(word.startswith(MARK) for word in words)


def test_a_plan_keeps_few_of_many_prefixes() -> None:
    """China has 2,101; rules tell three kinds apart, whatever the number."""
    patterns = ["_00[1-9].", "_!", "_0[1-9]XXXXXXXX.", "118"]
    plan = DiallingPlan(numbering_table("CN", ""), [(text, parse(text).tokens) for text in patterns])
    words = Dialling(memoryview(plan.section)).readings("00442079460958")[0]
    assert 1 < len(words) <= 4
    assert "00442079460958" in words


def test_the_longest_extension_gives_words_that_fit() -> None:
    """So who walks automata may keep room for one word."""
    longest = "0" + "9" * (MAX_EXTENSION_LENGTH - 1)
    for country in COUNTRIES:
        for extension in (longest, "+" + longest[1:], "00" + longest[2:]):
            for words in dialling(country, "9" * 8).readings(extension):
                assert max(map(len, words), default=0) <= MAX_WORD_LENGTH, country


@pytest.mark.parametrize("extension", ["", "+", "-", "x", "1+", "0+33612345678", "++33", "12\n", "1\x01", "sip:1", "½"])
def test_what_cannot_be_dialled_is_said(extension: str) -> None:
    """With a country and without; nothing is left out silently."""
    for country in ("", "FR"):
        with pytest.raises(Undiallable) as raised:
            dialling(country, "").readings(extension)
        assert raised.value.extension == extension


def test_without_a_country_extensions_are_only_folded() -> None:
    """A tenant may want nothing but that."""
    assert TableReader("", "0").readings("\uff10 033-123") == [[("0033123", 0)]]
    assert TableReader("", "").readings("*31#0033123*1") == [[("*31#0033123*1", 0), ("0033123*1", 0), ("0033123", 0)]]


@pytest.mark.parametrize(
    ("country", "line", "extension", "unread"),
    [
        ("FR", "", "*31#", ["*31#"]),
        ("FR", "", "*98", ["*98"]),
        ("FR", "", "*31#*98", ["*31#*98", "*98"]),
        ("FR", "0", "0*31#118712", ["0*31#118712", "0118712"]),
        ("AU", "", "1831", ["1831"]),
        ("AU", "", "18311234", ["18311234", "1234"]),
        ("AU", "0", "018311234", ["018311234", "01234"]),
        ("US", "9", "9*67911", ["9*67911", "9911"]),
        ("FR", "", "2001*5#", ["2001*5#", "2001"]),
        ("FR", "", "000612345678", ["000612345678"]),
    ],
)
def test_what_is_no_number_is_matched_as_it_stands(country: str, line: str, extension: str, unread: list[str]) -> None:
    """And without the code that hides the caller, and without the tail."""
    assert TableReader(country, line).readings(extension) == [[(text, 0) for text in unread]]


@pytest.mark.parametrize(
    ("country", "line", "extension", "form"),
    [
        ("ES", "", "+34 803 12 34 56 7", "8031234567"),
        ("DK", "", "0045 90 12 34 56 7", "901234567"),
        ("FR", "", "+330012345678", "0012345678"),
        ("BR", "", "+55 15 98765 4321 0", "0159876543210"),
    ],
)
def test_no_number_is_without_a_form_that_any_pattern_may_match(
    country: str, line: str, extension: str, form: str
) -> None:
    """Or digits too many behind + would get round a deny of everything."""
    (reading,) = TableReader(country, line).readings(extension)
    assert (form, 0) in reading


def test_a_section_of_another_format_is_refused() -> None:
    """A plan of another release is not half understood."""
    section = bytearray(DiallingPlan(numbering_table("FR", ""), None).section)
    for place in (0, 6, 12, 17):
        broken = bytearray(section)
        broken[place] ^= 0xFF
        with pytest.raises(ValueError, match="of this release's format"):
            Dialling(memoryview(bytes(broken)))


def test_forms_of_words_are_as_people_write_them() -> None:
    """For those who explain."""
    assert form_of("0612") == ("0612", 0)
    assert form_of(f"{MARK}0033{MARK}612") == ("0033612", 4)
