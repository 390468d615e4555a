"""Walking a pattern's tokens: the places in them from which the rest must match what is still to come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.rules.patterns.alphabet import STAR, mask_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def first_places(tokens: Sequence[int]) -> set[int]:
    """Where a walk starts."""
    return _with_those_behind_stars({0}, tokens)


def next_places(tokens: Sequence[int], places: Iterable[int], mask: int) -> set[int]:
    """Where a walk is after one character, given by a mask of symbols of which any will do."""
    read = {
        place if tokens[place] == STAR else place + 1
        for place in places
        if place < len(tokens) and (tokens[place] == STAR or tokens[place] & mask)
    }
    return _with_those_behind_stars(read, tokens)


def places_behind(tokens: Sequence[int], text: str) -> set[int]:
    """Where a walk is after a text of characters that patterns can name."""
    places = first_places(tokens)
    for character in text:
        places = next_places(tokens, places, mask_of(character))
    return places


def matches(tokens: Sequence[int], text: str) -> bool:
    """Whether a pattern matches a text of characters that patterns can name."""
    return len(tokens) in places_behind(tokens, text)


def _with_those_behind_stars(places: set[int], tokens: Sequence[int]) -> set[int]:
    """Places, and those behind their STARs, which may stand for nothing; no two STARs stand side by side."""
    return places | {place + 1 for place in places if place < len(tokens) and tokens[place] == STAR}
