"""Division of all extensions: the sets themselves, as they are written, with the label of each."""

from __future__ import annotations

import pytest

from pdp.rules.model import MAX_EXTENSION_LENGTH
from pdp.rules.patterns.alphabet import mask_of_range
from pdp.rules.patterns.notation import elements_of, sample_of, shortest, text_of
from pdp.rules.patterns.parser import parse
from pdp.rules.patterns.partition import UNDIVIDED, divide, expand

DIVIDED = [
    (("_0!",), {"_0!": 1, "_[^0]!": 0}),
    (("_01", "_0X"), {"0": 0, "_[^0]!": 0, "01": 1, "_0[02-9]": 2, "_0[^0-9]!": 0, "_0X.": 0}),
    (("_!1",), {"_!1": 1, "_![^1]": 0}),
    (("_!1!",), {"_{[^1]}": 0, "_{[^1]}1!": 1}),
    (("_!12!",), {"_{[^1]}": 0, "_{[^1]}1{1}": 0, "_{[^1]}1{1}2!": 1, "_{[^1]}1{1}[^12]!": UNDIVIDED}),
    (("_1!2",), {"1": 0, "_[^1]!": 0, "_1!2": 1, "_1![^2]": 0}),
    (("_!11",), {"1": 0, "_![^1]": 0, "_!11": 1, "_![^1]1": 0}),
    (("_[1-3]!4",), {"_[1-3]": 0, "_[^1-3]!": 0, "_[1-3]!4": 1, "_[1-3]![^4]": 0}),
    (("_X!1", "_1!"), {"1": 2, "_[02-9]": 0, "_[^0-9]!": 0, "_X!1": 1, "_1![^1]": 2, "_[02-9]![^1]": 0}),
]
"""Patterns, labelled from 1, and the sets that they divide all extensions into; 0 is what none matches."""


def divided(*patterns: str, max_parts: int = 1000, max_work: int = 1_000_000) -> dict[str, int]:
    """The sets of some patterns, as text, with their labels."""
    items = [(label, parse(pattern).tokens) for label, pattern in enumerate(patterns, 1)]
    return {text_of(part.elements): part.label for part in divide(items, 0, max_parts=max_parts, max_work=max_work)}


@pytest.mark.parametrize(("patterns", "sets"), DIVIDED, ids=str)
def test_sets_are_as_few_and_as_plain_as_they_can_be(patterns: tuple[str, ...], sets: dict[str, int]) -> None:
    """Characters are told apart only where the difference matters."""
    assert divided(*patterns) == sets


def test_bounds_leave_sets_undivided_and_lose_none() -> None:
    """The fewest sets are one; work that is used up ends where it is."""
    assert divided("_0X1", max_parts=1) == {"_.": UNDIVIDED}
    assert divided("_0X1", max_parts=3) == {"_0!": UNDIVIDED, "_[^0]!": 0}
    assert divided("_0X1", max_work=1) == {"_0!": UNDIVIDED, "_[^0]!": 0}


def test_sets_hold_no_extension_that_is_too_long_to_dial() -> None:
    """A pattern of the longest extensions divides them; what is longer is no set."""
    longest = "1" * MAX_EXTENSION_LENGTH
    sets = divided(longest)
    assert sets[longest] == 1
    assert max(shortest(elements_of(text)) for text in sets) == MAX_EXTENSION_LENGTH


def test_an_automaton_is_written_as_the_sets_that_it_divides() -> None:
    """A state that leads to itself is a loop."""
    one, rest = mask_of_range("1", "1"), mask_of_range("2", "9")
    states = [(0, {0: one, 1: rest}), (7, {})]
    assert {text_of(part.elements): part.label for part in expand(states, 0, 100)} == {"_{1}": 0, "_{1}N!": 7}


@pytest.mark.parametrize("text", ["0123", "_{1}N!", "_[^1-3]!", "_?", "_.", "_!", "_0[#*+]X", "_[0-9-]1"])
def test_sets_are_read_back_as_they_are_written(text: str) -> None:
    """And a sample of a set is one of its shortest extensions."""
    elements = elements_of(text)
    assert text_of(elements) == text
    assert len(sample_of(elements)) == shortest(elements)
