"""Why a pattern does not match: how far into the extension it gets, and what it would have accepted there."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pdp.rules.patterns.alphabet import ANY_MASK, STAR
from pdp.rules.patterns.notation import class_text
from pdp.rules.patterns.places import first_places, next_places

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.rules.snapshot.snapshot import Snapshot

_ANY = class_text(ANY_MASK)


class Closest(NamedTuple):
    """A pattern that does not match, and how far it gets.

    Attributes:
        pattern: as its administrator wrote it.
        position: the first character of the form, counted from 1, where it fails; one more than the form has: the
            pattern asks for more.
        expected: what it accepts there, as in a pattern; empty: nothing, since it ends there.
        form: what it was held against.
    """

    pattern: str
    position: int
    expected: str
    form: str

    def describe(self) -> str:
        """The second half of a sentence, behind the pattern's name."""
        expected = "any character" if self.expected == _ANY else self.expected
        if self.position > len(self.form):
            return f"asks for {expected} after the last character"
        found = f"character {self.position} ({self.form[self.position - 1]!r})"
        return f"fails at {found}, where it accepts {expected}" if expected else f"ends before {found}"


def closest(snapshot: Snapshot, patterns: Sequence[int], forms: Sequence[str]) -> Closest | None:
    """Of patterns that do not match, the one that gets furthest; of several the first.

    Args:
        snapshot: holds the patterns.
        patterns: their numbers.
        forms: what they could have matched.
    """
    best: tuple[int, int, int, str] | None = None
    for number in patterns:
        tokens = snapshot.pattern_tokens(number)
        for form in forms:
            reach, accepted = _reach(tokens, snapshot.symbols_of(form))
            if best is None or reach > best[1]:
                best = number, reach, accepted, form
    if best is None:
        return None
    number, reach, accepted, form = best
    return Closest(snapshot.pattern(number), reach + 1, class_text(accepted) if accepted else "", form)


def _reach(tokens: Sequence[int], symbols: bytes) -> tuple[int, int]:
    """How many symbols some way through the tokens reads, and the mask of what may stand next."""
    places = first_places(tokens)
    for reach, symbol in enumerate(symbols):
        following = next_places(tokens, places, 1 << symbol)
        if not following:
            return reach, _accepted(tokens, places)
        places = following
    return len(symbols), _accepted(tokens, places)


def _accepted(tokens: Sequence[int], places: set[int]) -> int:
    """What the tokens at some places accept; a STAR's own characters say nothing about why a pattern fails."""
    mask = 0
    for place in places:
        if place < len(tokens) and tokens[place] != STAR:
            mask |= tokens[place]
    return mask
