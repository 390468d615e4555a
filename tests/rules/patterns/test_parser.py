"""Reading patterns: each that means something is read, every other is an error with its place and a remedy."""

from __future__ import annotations

import oracle
import pytest
import strategies
from cores import built
from hypothesis import given
from hypothesis import strategies as st

from pdp.rules.core import core
from pdp.rules.errors import PatternError, RulesError
from pdp.rules.model import MAX_PATTERN_LENGTH
from pdp.rules.patterns.alphabet import DIALABLE
from pdp.rules.patterns.parser import Pattern, parse, tokens_of

BAD = [
    ("", 0, "empty"),
    ("_", 0, "only marks a pattern"),
    ("___", 0, "only marks a pattern"),
    ("_[1-", 1, "never closed"),
    ("_0[12", 2, "never closed"),
    ("_]1", 1, "closes nothing"),
    ("_1]", 2, "closes nothing"),
    ("_[9-1]", 2, "runs the wrong way"),
    ("_00[12-9+-*]", 8, "runs the wrong way"),
    ("_[]", 1, "lists no character"),
    ("[_]", 0, "lists no character"),
    ("_[X5]", 2, "inside brackets"),
    ("_[.]1", 2, "inside brackets"),
    ("_[1[2]]", 3, "inside brackets"),
    ("_[a]", 2, "inside brackets"),
    ("_x.", 1, "no pattern character"),
    ("_0 0", 2, "no pattern character"),
    ("_^0", 1, "no pattern character"),
    ("(0)", 0, "no pattern character"),
    ("\N{ARABIC-INDIC DIGIT ONE}", 0, "no pattern character"),
    ("1" * (MAX_PATTERN_LENGTH + 1), MAX_PATTERN_LENGTH, "longer than 128"),
]


def read(text: str) -> Pattern | PatternError:
    """What comes of reading a pattern."""
    try:
        return parse(text)
    except PatternError as error:
        return error


@pytest.mark.parametrize(("text", "position", "problem"), BAD)
def test_a_pattern_that_means_nothing_is_refused_with_its_place(text: str, position: int, problem: str) -> None:
    """The error names the pattern, the first character at fault, and what to write instead."""
    with pytest.raises(PatternError, match=rf"character {position + 1}: .*{problem}.*; ") as caught:
        parse(text)
    assert (caught.value.pattern, caught.value.position) == (text, position)
    assert caught.value.remedy
    assert isinstance(caught.value, RulesError)


def test_a_lower_case_class_is_told_to_be_upper_case() -> None:
    """The usual slip has a remedy of its own."""
    with pytest.raises(PatternError, match="write X, in upper case"):
        parse("_0x")


def test_a_message_shows_no_endless_pattern() -> None:
    """Whoever pastes a file into a pattern gets a message that can be read."""
    with pytest.raises(PatternError) as caught:
        parse("1" * 1_000_000)
    assert len(str(caught.value)) < 300


@given(st.text(max_size=140) | st.text("_0[]-9XZN.!*#+x", max_size=140))
def test_random_text_is_a_pattern_or_an_error_with_a_place_in_it(text: str) -> None:
    """Nothing else leaves the parser, and what it accepts Wazo's regular expressions accept."""
    result = read(text)
    if isinstance(result, PatternError):
        assert 0 <= result.position <= len(text)
        assert result.problem
        assert result.remedy
    else:
        assert result.tokens
        oracle.regex(text)


@built
@given(st.text(max_size=140) | st.text("_0[]-9XZN.!*#+", max_size=140) | strategies.patterns)
def test_the_core_reads_what_python_reads(text: str) -> None:
    """The same tokens, and none where the text is no pattern."""
    try:
        expected = tokens_of(text)
    except PatternError:
        with pytest.raises(PatternError):
            parse(text)
        return
    assert parse(text).tokens == expected
    module = core().module
    assert module is not None
    assert module.tokens(text) == expected


@given(strategies.patterns)
def test_a_pattern_that_means_something_is_read(text: str) -> None:
    """The patterns that other tests draw are all valid."""
    assert parse(text).text == text


@given(strategies.patterns, st.integers(0, 20))
def test_an_underscore_means_nothing_wherever_it_stands(text: str, position: int) -> None:
    """As in Wazo, which drops every one of them."""
    assert parse(text[:position] + "_" + text[position:]).tokens == parse(text).tokens


@pytest.mark.parametrize(
    ("one", "other"), [("_X.!", "X!."), ("!!", "!"), (".!.", "..!"), ("_Z", "[1-9]"), ("[5-5]", "5"), ("[--]", "-")]
)
def test_equal_meanings_have_equal_tokens(one: str, other: str) -> None:
    """The normal form lets automata share what two administrators wrote differently."""
    assert parse(one).tokens == parse(other).tokens


@pytest.mark.parametrize("unit", ["0", "X", "[#-9]", "[", ".", "!", "_", "[-", "_[1-9]+"])
def test_the_longest_pattern_takes_a_step_a_character(unit: str) -> None:
    """Each character is popped once; Wazo's own validation backtracks for minutes on a few dozen."""
    text = (unit * MAX_PATTERN_LENGTH)[:MAX_PATTERN_LENGTH]
    result = read(text)
    if isinstance(result, PatternError):
        assert result.position < len(text)
    else:
        assert len(result.tokens) <= 2 * len(text)


@pytest.mark.parametrize("first", DIALABLE)
def test_every_range_is_what_a_regular_expression_makes_of_it(first: str) -> None:
    """Ranges reach characters that no pattern can name, ``[#-9]`` for one."""
    for last in DIALABLE:
        text = f"[{first}-{last}]"
        if first > last:
            with pytest.raises(PatternError, match="the wrong way"):
                parse(text)
        else:
            assert parse(text).tokens == parse(f"_{text}").tokens
