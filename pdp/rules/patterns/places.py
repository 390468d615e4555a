"""Walking a pattern's tokens: the positions from which the rest of the pattern must match the rest of the text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.rules.patterns.alphabet import STAR, mask_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def first_places(tokens: Sequence[int]) -> set[int]:
    """The positions where a walk starts."""
    return _with_those_behind_stars({0}, tokens)


def next_places(tokens: Sequence[int], places: Iterable[int], mask: int) -> set[int]:
    """The positions of a walk after one character of a mask of symbols."""
    read = {
        place if tokens[place] == STAR else place + 1
        for place in places
        if place < len(tokens) and (tokens[place] == STAR or tokens[place] & mask)
    }
    return _with_those_behind_stars(read, tokens)


def places_behind(tokens: Sequence[int], text: str) -> set[int]:
    """The positions of a walk after a text of characters that patterns can name."""
    places = first_places(tokens)
    for character in text:
        places = next_places(tokens, places, mask_of(character))
    return places


def matches(tokens: Sequence[int], text: str) -> bool:
    """Whether a pattern matches a text of characters that patterns can name."""
    return len(tokens) in places_behind(tokens, text)


def _with_those_behind_stars(places: set[int], tokens: Sequence[int]) -> set[int]:
    """Positions, and those behind STARs there, which may match nothing; no two STARs stand side by side."""
    return places | {place + 1 for place in places if place < len(tokens) and tokens[place] == STAR}
