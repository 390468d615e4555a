"""The reason that a pattern does not match: the longest match of its start, and the characters expected next."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pdp.rules.effort import CHECKPOINT
from pdp.rules.patterns.alphabet import ANY_MASK, STAR
from pdp.rules.patterns.notation import class_text
from pdp.rules.patterns.places import first_places, next_places

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.rules.snapshot.snapshot import Snapshot

_ANY = class_text(ANY_MASK)


class Closest(NamedTuple):
    """A pattern that does not match, and the length of its match.

    Attributes:
        pattern: the pattern as its administrator wrote it.
        position: the first character of the form, counted from 1, at which the pattern fails; one more than the length
            of the form: the pattern expects more characters.
        expected: the characters accepted there, in the notation of patterns; empty: none, since the pattern ends there.
        form: the form of the extension that was matched.
    """

    pattern: str
    position: int
    expected: str
    form: str

    def describe(self) -> str:
        """The reason that the pattern fails: the second half of a sentence, behind the pattern's name."""
        expected = "any character" if self.expected == _ANY else self.expected
        if self.position > len(self.form):
            return f"asks for {expected} after the last character"
        found = f"character {self.position} ({self.form[self.position - 1]!r})"
        return f"fails at {found}, where it accepts {expected}" if expected else f"ends before {found}"


def closest(snapshot: Snapshot, patterns: Sequence[int], forms: Sequence[str]) -> Closest | None:
    """The pattern with the longest match, of patterns that do not match as a whole; of several the first.

    Args:
        snapshot: the snapshot with the patterns.
        patterns: the numbers of the patterns.
        forms: the forms of the extension that the patterns could have matched.
    """
    best: tuple[int, int, int, str] | None = None
    checkpoint = CHECKPOINT.get()
    for number in patterns:
        checkpoint()
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
    """The most symbols that some way through the tokens reads, and the mask of the symbols that may follow."""
    places = first_places(tokens)
    for reach, symbol in enumerate(symbols):
        following = next_places(tokens, places, 1 << symbol)
        if not following:
            return reach, _accepted(tokens, places)
        places = following
    return len(symbols), _accepted(tokens, places)


def _accepted(tokens: Sequence[int], places: set[int]) -> int:
    """The mask that the tokens at these positions accept, without STARs, which do not explain why a pattern fails."""
    mask = 0
    for place in places:
        if place < len(tokens) and tokens[place] != STAR:
            mask |= tokens[place]
    return mask
