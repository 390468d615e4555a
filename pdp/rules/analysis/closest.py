"""Why a pattern does not match: how far into the extension it gets, and what it would have accepted there."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pdp.rules.patterns.alphabet import ANY_MASK, STAR
from pdp.rules.patterns.notation import class_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.rules.snapshot.snapshot import Snapshot

_ANY = class_text(ANY_MASK)


class Closest(NamedTuple):
    """A pattern that does not match, and how far it gets.

    Attributes:
        pattern: as its administrator wrote it.
        position: the first character of the extension, counted from 1, where it fails; one more than the extension has:
            the pattern asks for more.
        expected: what it accepts there, as in a pattern; empty: nothing, since it ends there.
    """

    pattern: str
    position: int
    expected: str

    def describe(self, extension: str) -> str:
        """The second half of a sentence, behind the pattern's name."""
        expected = "any character" if self.expected == _ANY else self.expected
        if self.position > len(extension):
            return f"asks for {expected} after the last character"
        found = f"character {self.position} ({extension[self.position - 1]!r})"
        return f"fails at {found}, where it accepts {expected}" if expected else f"ends before {found}"


def closest(snapshot: Snapshot, patterns: Sequence[int], extension: str) -> Closest | None:
    """Of patterns that do not match, the one that gets furthest; of several the first.

    Args:
        snapshot: holds the patterns.
        patterns: their numbers.
        extension: what was dialled.
    """
    symbols = snapshot.symbols_of(extension)
    best: tuple[int, int, int] | None = None
    for number in patterns:
        reach, accepted = _reach(snapshot.pattern_tokens(number), symbols)
        if best is None or reach > best[1]:
            best = number, reach, accepted
    if best is None:
        return None
    number, reach, accepted = best
    return Closest(snapshot.pattern(number), reach + 1, class_text(accepted) if accepted else "")


def _reach(tokens: Sequence[int], symbols: bytes) -> tuple[int, int]:
    """How many symbols some way through the tokens reads, and the mask of what may stand next."""
    state = _without_stars({0}, tokens)
    for reach, symbol in enumerate(symbols):
        following = {at if tokens[at] == STAR else at + 1 for at in state if _accepts(tokens, at, symbol)}
        if not following:
            return reach, _accepted(tokens, state)
        state = _without_stars(following, tokens)
    return len(symbols), _accepted(tokens, state)


def _without_stars(state: set[int], tokens: Sequence[int]) -> set[int]:
    """A state and what is reached from it without reading: a STAR may stand for nothing."""
    return state | {at + 1 for at in state if at < len(tokens) and tokens[at] == STAR}


def _accepts(tokens: Sequence[int], at: int, symbol: int) -> bool:
    return at < len(tokens) and (tokens[at] == STAR or bool(tokens[at] >> symbol & 1))


def _accepted(tokens: Sequence[int], state: set[int]) -> int:
    """What the tokens of a state accept; a STAR's own characters say nothing about why a pattern fails."""
    mask = 0
    for at in state:
        if at < len(tokens) and tokens[at] != STAR:
            mask |= tokens[at]
    return mask
