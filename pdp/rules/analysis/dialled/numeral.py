"""Reading numbers digit by digit: the states in which the reading of a text can be.

``NumberingTable.number`` reads a whole text. Here the same automata are walked one digit at a time, for every number
that the text may still turn out to be: each is a *candidate*. Two texts in equal states stay alike, whichever digits
follow. A state says what may become of a text and never what the text is: that is left to the table itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from pdp.rules.analysis.dialled.captures import Captures
from pdp.rules.dialling.layout import LEAST_DIGITS, MATCH, MATCH_AT_END, VALID

if TYPE_CHECKING:
    from pdp.rules.dialling.numbering import NumberingTable

_SEVERAL = 2


class Candidates(Protocol):
    """States of candidates, as integers: what is known of a number whose first digits were read."""

    def own(self, *, sought: bool) -> int:
        """The state of an own number before its first digit.

        Args:
            sought: whether this is the number that a text must be read as; see ``forms``.
        """

    def foreign(self, *, sought: bool) -> int:
        """The state of a foreign number before its first digit."""

    def step(self, candidate: int, digit: str) -> int:
        """The state behind one more digit."""

    def unjudged(self, foreign: int) -> int:
        """The state of a foreign number where it does not count whether the number is valid."""

    def is_sought(self, candidate: int) -> bool:
        """Whether a candidate is the number that is sought."""

    def is_long(self, candidate: int) -> bool:
        """Whether an own number has the digits that make it one even if it is not valid."""

    def may_be_valid(self, candidate: int) -> bool:
        """Whether some more digits could make an own number valid."""


class International(NamedTuple):
    """The digits behind an international prefix.

    Attributes:
        code: matched digits of the country code; -1 once these are complete or another code is read.
        length: digits so far, at most seven.
        own: the candidate behind the country code.
        trunk: matched digits of a national prefix behind the country code; -1 as above.
        without: the candidate behind that prefix.
        foreign: the candidate of a foreign number.
    """

    code: int
    length: int
    own: int | None
    trunk: int
    without: int | None
    foreign: int | None


ZERO = International(-1, 0, None, -1, None, None)
"""Digits that begin with 0, which are no number."""


class Numeral(NamedTuple):
    """A text of digits, or of ``+`` and digits.

    Attributes:
        prefixes: state among the international prefixes; 0: none can end later.
        ends: what is read behind each international prefix in front, the shortest first.
        trunk: state among the texts before a national number; 0: none can end later.
        at: digits so far, while there is such a state.
        raw: these digits, where some of them may become part of the number.
        taken: the candidate behind such a text.
        captured: candidates that begin within such a text, by their start.
        bare: the candidate that is the whole text.
        long_line: digits so far behind an outside line where any seven digits are a number; else -1.
    """

    prefixes: int = 0
    ends: tuple[International, ...] = ()
    trunk: int = 0
    at: int = 0
    raw: str = ""
    taken: int | None = None
    captured: tuple[tuple[int, int], ...] = ()
    bare: int | None = None
    long_line: int = -1


NOTHING = Numeral()
"""A text that is no number, whichever digits follow."""


class Numerals:
    """Reads texts digit by digit.

    Args:
        numbering: the table.
        candidates: the states of candidates.
        alone: whether nothing but the number counts that a text is read as, and not whether that is valid.
    """

    def __init__(self, numbering: NumberingTable, candidates: Candidates, *, alone: bool) -> None:
        self._numbering = numbering
        self._candidates = candidates
        self._alone = alone
        self._starts = numbering.starts
        self._captures = Captures(numbering)
        self._known: dict[tuple[Numeral, str], Numeral] = {}

    def plus(self, *, sought: bool = False) -> Numeral:
        """The state behind a ``+``."""
        return Numeral(ends=(self._international(sought=sought),))

    def start(self, *, behind_line: bool, sought: bool = False) -> Numeral:
        """The state before the first digit.

        Args:
            behind_line: whether the text stands behind the outside line.
            sought: whether the whole text is the number that is sought.
        """
        any_seven = behind_line and not self._numbering.prefix
        bare = self._candidates.own(sought=sought) if any_seven or self._numbering.has_bare else None
        captured = self._captured_at(0, sought=sought)
        starts = self._starts
        return Numeral(starts.prefixes, (), starts.trunk, 0, "", None, captured, bare, 0 if any_seven else -1)

    def step(self, numeral: Numeral, digit: str) -> Numeral:
        """The state behind one more digit."""
        known = self._known.get((numeral, digit))
        if known is None:
            known = self._known[numeral, digit] = self.step_to(numeral, digit, sought=False)
        return known

    def step_to(self, numeral: Numeral, digit: str, *, sought: bool) -> Numeral:
        """The state behind one more digit.

        Args:
            numeral: the state before.
            digit: the digit.
            sought: whether the number that is sought begins behind this digit.
        """
        numbering, step = self._numbering, self._candidates.step
        prefixes = numbering.next_state(numeral.prefixes, digit) if numeral.prefixes else 0
        ends = tuple(self._further(each, digit, sought=sought) for each in numeral.ends)
        if prefixes and numbering.ends(prefixes, VALID):
            ends += (self._international(sought=sought),)
        bare = step(numeral.bare, digit) if numeral.bare is not None else None
        long_line = min(numeral.long_line + 1, LEAST_DIGITS) if numeral.long_line >= 0 else -1
        read = self._national(numeral, digit, sought=sought)._replace(
            prefixes=prefixes, ends=ends, bare=bare, long_line=long_line
        )
        return self._pruned(self._narrowed(read) if self._alone and not prefixes and ends else read)

    def _narrowed(self, numeral: Numeral) -> Numeral:
        """A reading without what does not count for whether the text is the number that is sought."""
        candidates, last = self._candidates, numeral.ends[-1]
        left = (one for each in numeral.ends for one in (each.own, each.without, each.foreign) if one is not None)
        if len(numeral.ends) == 1 or not any(map(candidates.is_sought, left)):
            numeral = self.unjudged(numeral)
            return NOTHING if self.is_behind_some_prefix(numeral) else numeral
        if last.code < 0 and last.own is None and last.without is None:
            return numeral._replace(ends=(*numeral.ends[:-1], self._unjudged(last)))
        return numeral

    def unjudged(self, numeral: Numeral) -> Numeral:
        """A reading without the validity of foreign numbers, which counts only beside another reading."""
        if numeral.prefixes or not numeral.ends:
            return numeral
        return numeral._replace(ends=tuple(map(self._unjudged, numeral.ends)))

    def only_valid(self, numeral: Numeral) -> Numeral:
        """A reading without international prefixes that no valid number follows, where only valid numbers count."""
        if not _is_international(numeral):
            return numeral
        ends = tuple(filter(self._may_be_valid, numeral.ends))
        return Numeral(ends=ends) if ends else NOTHING

    def _unjudged(self, read: International) -> International:
        return read if read.foreign is None else read._replace(foreign=self._candidates.unjudged(read.foreign))

    def is_certain(self, numeral: Numeral) -> bool:
        """Whether a text is a number, whichever digits follow."""
        if numeral.prefixes:
            return False
        if numeral.ends:
            return all(each.length == LEAST_DIGITS for each in numeral.ends)  # ZERO has length 0
        if numeral.trunk:
            return False
        is_long = numeral.taken is not None and self._candidates.is_long(numeral.taken)
        return is_long or numeral.long_line == LEAST_DIGITS

    def takes_sought(self, numeral: Numeral) -> bool:
        """Whether a text that ends here is the number that is sought behind a national prefix, if that is valid."""
        if numeral.prefixes or numeral.ends or numeral.taken is None:
            return False
        replaced = numeral.trunk and self._numbering.ends(numeral.trunk, MATCH_AT_END)
        return not replaced and self._candidates.is_sought(numeral.taken)

    def is_behind_some_prefix(self, numeral: Numeral) -> bool:
        """Whether a text certainly is the number behind an international prefix, of several that fit."""
        return len(numeral.ends) >= _SEVERAL and _is_international(numeral)

    def _international(self, *, sought: bool) -> International:
        return International(0, 0, None, -1, None, self._candidates.foreign(sought=sought))

    def _further(self, read: International, digit: str, *, sought: bool) -> International:
        """What is read behind an international prefix, with one more digit."""
        if read == ZERO or (not read.length and digit == "0"):
            return ZERO
        numbering, step = self._numbering, self._candidates.step
        code, length, own, trunk, without, foreign = read
        own = step(own, digit) if own is not None else None
        without = step(without, digit) if without is not None else None
        foreign = step(foreign, digit) if foreign is not None else None
        if trunk >= 0:
            trunk = trunk + 1 if numbering.prefix[trunk] == digit else -1
            if trunk == len(numbering.prefix):
                trunk, without = -1, self._candidates.own(sought=sought)
                own = None if numbering.drops_trunk else own
        if code >= 0:
            code = code + 1 if numbering.code[code] == digit else -1
            if code == len(numbering.code):
                code, own, trunk = -1, self._candidates.own(sought=sought), 0 if numbering.prefix else -1
        decisive = own if own is not None else without
        if decisive is not None and self._candidates.is_long(decisive):
            foreign = None
        return International(code, min(length + 1, LEAST_DIGITS), own, trunk, without, foreign)

    def _national(self, numeral: Numeral, digit: str, *, sought: bool) -> Numeral:
        """The parts of a state that are about the text before a national number."""
        numbering, step = self._numbering, self._candidates.step
        taken = step(numeral.taken, digit) if numeral.taken is not None else None
        trunk = numbering.next_state(numeral.trunk, digit) if numeral.trunk else 0
        if not trunk:
            return Numeral(taken=taken)
        at = numeral.at + 1
        raw = numeral.raw + digit if self._captures.leave_gap else ""
        captured = tuple((start, step(candidate, digit)) for start, candidate in numeral.captured)
        captured += self._captured_at(at, sought=sought)
        if numbering.ends(trunk, MATCH):
            replacement = numbering.replacement(trunk, MATCH)
            if replacement is None:
                taken = self._candidates.own(sought=sought)
            else:
                literal, start, end = replacement
                taken = dict(captured)[start] if end == at else self._fed(literal + raw[start:end])
        later = self._captures.later(trunk)
        captured = tuple(each for each in captured if each[0] in later)
        return Numeral(trunk=trunk, at=at, raw=raw, taken=taken, captured=captured)

    def _captured_at(self, at: int, *, sought: bool) -> tuple[tuple[int, int], ...]:
        """The candidate that begins at a position within the text before a national number, if there can be one."""
        literal = self._captures.literals.get(at)
        return () if literal is None else ((at, self._fed(literal, sought=sought and not literal)),)

    def _fed(self, digits: str, *, sought: bool = False) -> int:
        candidate = self._candidates.own(sought=sought)
        for digit in digits:
            candidate = self._candidates.step(candidate, digit)
        return candidate

    def _pruned(self, numeral: Numeral) -> Numeral:
        """A state without candidates that a text cannot be."""
        if numeral.bare is not None and numeral.long_line < 0 and not self._candidates.may_be_valid(numeral.bare):
            numeral = numeral._replace(bare=None)
        if numeral.prefixes:
            return numeral
        if numeral.ends and all(each == ZERO for each in numeral.ends):
            return NOTHING
        if _is_international(numeral):
            numeral = Numeral(ends=numeral.ends)
        if self.is_certain(numeral):
            if numeral.ends:
                return self._chosen(numeral.ends)
            if numeral.taken is not None and self._candidates.is_long(numeral.taken):
                return Numeral(taken=numeral.taken)
        return numeral if numeral.trunk or candidates_of(numeral) else NOTHING

    def _chosen(self, ends: tuple[International, ...]) -> Numeral:
        """What certainly is a number, without the international prefixes that are not the one that is meant.

        A valid number behind a prefix prevails, then the foreign number behind the longest.
        """
        last = ends[-1]
        if len(ends) > 1 and last.code < 0 and last.own is None and last.without is None:
            ends = (*(each for each in ends[:-1] if self._may_be_valid(each)), last)
        (read,) = ends[:1]
        left = [each for each in (read.own, read.without, read.foreign) if each is not None]
        is_only = len(ends) == len(left) == 1 and read.code < 0 and read.trunk < 0
        return Numeral(taken=left[0]) if is_only else Numeral(ends=ends)

    def _may_be_valid(self, read: International) -> bool:
        left = (each for each in (read.own, read.without, read.foreign) if each is not None)
        return read.code >= 0 or read.trunk >= 0 or any(map(self._candidates.may_be_valid, left))


def _is_international(numeral: Numeral) -> bool:
    """Whether a text certainly is a number behind an international prefix: that of another country behind one."""
    return not numeral.prefixes and any(
        each.length == LEAST_DIGITS and each.code < 0 and each.own is None and each.without is None
        for each in numeral.ends
    )


def candidates_of(numeral: Numeral) -> list[int]:
    """The candidates of a state."""
    found = [numeral.taken, numeral.bare, *(candidate for _, candidate in numeral.captured)]
    for each in numeral.ends:
        found += (each.own, each.without, each.foreign)
    return [candidate for candidate in found if candidate is not None]
