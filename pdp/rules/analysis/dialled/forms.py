"""The forms of a number, digit by digit: what patterns can match a number whose first digits were read.

A form of a number is a constant text and the number behind it, if that reads back as the same number. So the patterns
that match some form of a number are found by one walk over the number's digits, from the positions that all constant
texts lead to. Forms that may not read back are walked apart until that is known.
"""

from __future__ import annotations

from enum import IntEnum
from itertools import compress
from typing import TYPE_CHECKING, NamedTuple

from pdp.rules.analysis.dialled.captures import DIGITS
from pdp.rules.analysis.dialled.numeral import Numeral, Numerals
from pdp.rules.analysis.dialled.readback import Automata, Digits, ReadingBack, Stepping, reads_back
from pdp.rules.dialling.layout import BARE, LEAST_DIGITS
from pdp.rules.dialling.numbering import PLUS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pdp.rules.analysis.dialled.patterns import Patterns
    from pdp.rules.dialling import Dialling
    from pdp.rules.dialling.dialling import Prefix

_SETTLED = Digits(is_own=True, state=0, length=LEAST_DIGITS)


class _Kind(IntEnum):
    """Kinds of forms."""

    NATIONAL = 0
    BARE = 1
    """Those of numbers that are dialled without the national prefix alone."""
    OTHER = 2


class _Text(NamedTuple):
    """A form, as far as its digits were read.

    Attributes:
        kind: the kind of the form.
        places: the positions in patterns, as bits.
        numeral: the reading of the text; None: reads back for certain.
        line: matched characters of the outside line, by a text that must not begin with the line; -1: does not.
    """

    kind: _Kind
    places: int
    numeral: Numeral | None
    line: int


class _Own(NamedTuple):
    """An own number.

    Attributes:
        digits: its digits.
        places: the positions in patterns that the forms which read back lead to, as bits.
        texts: the other forms.
        kept: texts that are forms if no other is: places and matched characters of the outside line.
    """

    digits: Digits
    places: int
    texts: tuple[_Text, ...]
    kept: tuple[tuple[int, int], ...]


class _Foreign(NamedTuple):
    """A foreign number; ``texts`` has the other forms, by group of prefixes."""

    digits: Digits
    places: int
    texts: tuple[tuple[_Text, ...], ...]


class Forms(Stepping["_Own | _Foreign"]):
    """Candidates of dialled texts: numbers, each with the positions in patterns that its forms lead to.

    Args:
        dialling: the tenant's dialling plan, made for all patterns in question.
        patterns: the patterns.
    """

    def __init__(self, dialling: Dialling, patterns: Patterns) -> None:
        self._dialling = dialling
        self._numbering = dialling.numbering
        self._patterns = patterns
        super().__init__(Automata(self._numbering))
        self._back = {of_own: ReadingBack(self._numbering, of_own=of_own) for of_own in (True, False)}
        self._numerals = {of_own: Numerals(self._numbering, back, alone=True) for of_own, back in self._back.items()}
        self._wherever_bare: dict[tuple[int, Numeral], bool] = {}
        self._own = self._interned.number(self._first_own())
        self._foreign = self._interned.number(self._first_foreign())

    def own(self, *, sought: bool) -> int:  # noqa: ARG002 - nothing is sought among dialled texts
        """An own number before its first digit."""
        return self._own

    def foreign(self, *, sought: bool) -> int:  # noqa: ARG002 - nothing is sought among dialled texts
        """A foreign number before its first digit."""
        return self._foreign

    def is_sought(self, candidate: int) -> bool:  # noqa: ARG002 - nothing is sought among dialled texts
        """Whether a candidate is the number that is sought."""
        return False

    def settled(self, candidate: int) -> int | None:
        """The state of a long number that differs by its forms alone; None: it is not known yet what forms it has.

        Validity is left out, so the state stands only for numbers that are read so for certain.
        """
        state = self._interned.states[candidate]
        if state.texts or state.digits.length < LEAST_DIGITS:
            return None
        kept = state.kept if isinstance(state, _Own) else ()
        return self._interned.number(_Own(_SETTLED, state.places, (), kept))

    def unjudged(self, foreign: int) -> int:
        """The state of a foreign number where it does not count whether the number is valid, but for its forms."""
        state = self._interned.states[foreign]
        if state.texts:
            return foreign
        return self._interned.number(state._replace(digits=state.digits._replace(state=0)))

    def _following(self, state: _Own | _Foreign, digit: str) -> _Own | _Foreign:
        return self._own_step(state, digit) if isinstance(state, _Own) else self._foreign_step(state, digit)

    def _digits(self, state: _Own | _Foreign) -> Digits:
        return state.digits

    def _first_own(self) -> _Own:
        numbering, line = self._numbering, self._dialling.outside_line
        texts = [*self._unmarked(numbering.prefix, _Kind.NATIONAL)]
        if numbering.prefix and numbering.has_bare:
            texts += self._unmarked("", _Kind.BARE)
        for prefix in self._dialling.spelled_prefixes:
            start = self._patterns.spelled_out(self._dialling.spelled(prefix))
            numeral = self._fed(prefix.text + numbering.code, of_own=True, behind_line=prefix.behind_line)
            texts.append(_Text(_Kind.OTHER, start, numeral, self._line_in(prefix, numbering.code)))
        first = numbering.prefix
        kept = [(self._patterns.behind(line + first), -1)] if line else []
        kept.append((self._patterns.behind(first), _matched(line, first)))
        return self._settled(_Own(self._automata.first(is_own=True), 0, tuple(texts), tuple(kept)))

    def _unmarked(self, text: str, kind: _Kind) -> Iterable[_Text]:
        """The forms that begin with a national prefix, or with none: behind the outside line, and without."""
        line, numbering = self._dialling.outside_line, self._numbering
        if line:
            numeral = self._fed(text, of_own=True, behind_line=True)
            yield _Text(kind, self._patterns.behind(line + text), numeral, -1)
        as_line = bool(line) and bool(numbering.prefix)
        numeral = self._fed(text, of_own=True, behind_line=as_line)
        yield _Text(kind, self._patterns.behind(text), numeral, _matched(line, text))

    def _first_foreign(self) -> _Foreign:
        line = self._dialling.outside_line
        groups = []
        certain = 0
        for group in self._dialling.prefix_groups:
            if self._always_reads(group):
                first = group[0]
                certain |= self._patterns.behind((line if first.behind_line else "") + first.text)
                continue
            texts = []
            for prefix in group:
                written = (line if prefix.behind_line else "") + prefix.text
                numeral = None
                if prefix.text != PLUS:
                    numeral = self._fed(prefix.text, of_own=False, behind_line=prefix.behind_line)
                at = self._line_in(prefix, "")
                texts.append(_Text(_Kind.OTHER, self._patterns.behind(written), numeral, at))
            groups.append(tuple(texts))
        return self._grouped(_Foreign(self._automata.first(is_own=False), certain, tuple(groups)))

    def _always_reads(self, group: Sequence[Prefix]) -> bool:
        """Whether one of these prefixes makes a form of every foreign number.

        A prefix that no longer one begins with makes a form unless a shorter one fits as well, and a valid number
        follows that. So the prefixes are enough if what follows their shorter ones is never valid for all at once.
        """
        ends = self._numbering.prefix_ends
        others: list[int] = []
        for prefix in group:
            text = prefix.text
            if text == PLUS:
                return True
            if self._line_in(prefix, "") >= 0 or self._numbering.begins_prefix(text):
                continue
            rests = [rest for end in ends(text) if (rest := text[end:]) and rest[0] != "0"]
            if not rests:
                return True
            if len(rests) == 1 and not _overlap(rests[0], self._numbering.code):
                others.append(self._automata.behind(rests[0], is_own=False))
        return bool(others) and not self._automata.meet(others)

    def _line_in(self, prefix: Prefix, code: str) -> int:
        line = self._dialling.outside_line
        return -1 if prefix.behind_line else _matched(line, prefix.text + code)

    def _fed(self, text: str, *, of_own: bool, behind_line: bool) -> Numeral:
        """The reading of a constant text, behind which the number that is sought begins."""
        numerals = self._numerals[of_own]
        if text[:1] == PLUS:
            numeral, text = numerals.plus(sought=len(text) == 1), text[1:]
        else:
            numeral = numerals.start(behind_line=behind_line, sought=not text)
        for at, digit in enumerate(text, 1):
            numeral = numerals.step_to(numeral, digit, sought=at == len(text))
        return numeral

    def _own_step(self, own: _Own, digit: str) -> _Own:
        line, step = self._dialling.outside_line, self._patterns.step
        texts = tuple(self._text_step(text, digit, of_own=True) for text in own.texts)
        kept = tuple((step(places, digit), _line_step(line, at, digit)) for places, at in own.kept)
        return self._settled(_Own(self._automata.step(own.digits, digit), step(own.places, digit), texts, kept))

    def _foreign_step(self, foreign: _Foreign, digit: str) -> _Foreign:
        digits = self._automata.step(foreign.digits, digit)
        texts = tuple(tuple(self._text_step(text, digit, of_own=False) for text in group) for group in foreign.texts)
        return self._grouped(_Foreign(digits, self._patterns.step(foreign.places, digit), texts))

    def _text_step(self, text: _Text, digit: str, *, of_own: bool) -> _Text:
        numeral = None if text.numeral is None else self._numerals[of_own].step(text.numeral, digit)
        line = _line_step(self._dialling.outside_line, text.line, digit)
        return _Text(text.kind, self._patterns.step(text.places, digit), numeral, line)

    def _settled(self, own: _Own) -> _Own:
        """A state in which what is known to read back is with the other forms that do, and what does not is gone."""
        places, kept = own.places, own.kept
        left: dict[_Text, None] = {}
        bare = 0
        can_be_bare = self._automata.leads_to(own.digits.state, BARE)
        for text in own.texts:
            found = self._judged(text, of_own=True)
            if found is None or (found.kind is _Kind.BARE and not can_be_bare):
                continue
            if not _is_certain(found):
                left[found] = None
            elif found.kind is _Kind.BARE:
                bare |= found.places
            else:
                places |= found.places
                kept = () if found.kind is _Kind.NATIONAL else kept
        if bare:
            left[_Text(_Kind.BARE, bare, None, -1)] = None
        full = len(self._dialling.outside_line)
        kept = tuple((each, at) for each, at in kept if (at < 0 or at < full) and each & ~places)
        joined = self._joined(_Own(own.digits, places, tuple(left), kept))
        # Other forms lead to the same positions, and more.
        counts = (
            each.places & ~joined.places or (joined.kept and each.kind is not _Kind.OTHER) for each in joined.texts
        )
        return joined._replace(texts=tuple(compress(joined.texts, counts)))

    def _joined(self, own: _Own) -> _Own:
        """An own number whose forms with a national prefix count, whether these read back or not.

        Those that do are forms, and so they are where none of them does and the number has no other form.
        """
        national = [text for text in own.texts if text.kind is _Kind.NATIONAL]
        numerals = {text.numeral for text in national}
        if {(text.places, text.line) for text in national} != set(own.kept) or len(numerals) != 1:
            return own
        (numeral,) = numerals
        has_bare = any(text.kind is _Kind.BARE for text in own.texts)
        if has_bare and not (numeral is None or self._reads_wherever_bare(own.digits.state, numeral)):
            return own
        places = own.places
        left = [text for text in own.texts if text.kind is not _Kind.NATIONAL]
        for text in national:
            if text.line < 0:
                places |= text.places
            else:
                left.append(text._replace(kind=_Kind.OTHER, numeral=None))
        return _Own(own.digits, places, tuple(left), ())

    def _reads_wherever_bare(self, state: int, numeral: Numeral) -> bool:
        """Whether a form reads back as each number that is dialled without the national prefix.

        Args:
            state: the state of the number's digits.
            numeral: the reading of the form.
        """
        if not (state and self._automata.leads_to(state, BARE)):
            return True
        known = self._wherever_bare.get((state, numeral))
        if known is None:
            known = reads_back(numeral, self._back[True], is_bare=False)
            if known is None:
                numerals, step = self._numerals[True], self._numbering.next_state
                known = not self._numbering.ends(state, BARE) or numerals.takes_sought(numeral)
                known = known and all(
                    self._reads_wherever_bare(step(state, digit), numerals.step(numeral, digit)) for digit in DIGITS
                )
            self._wherever_bare[state, numeral] = known
        return known

    def _grouped(self, foreign: _Foreign) -> _Foreign:
        """A state in which groups with a prefix that is known to read back are done with."""
        # Positions from which no pattern matches the digits that are still to come do not count.
        enduring = self._patterns.enduring(LEAST_DIGITS - foreign.digits.length)
        places = foreign.places & enduring
        groups = []
        for group in foreign.texts:
            judged = [found for text in group if (found := self._judged(text, of_own=False)) is not None]
            certain = [text for text in judged if _is_certain(text)]
            if certain:
                places |= certain[0].places
            else:
                groups.append(dict.fromkeys(judged))
        left = (tuple(text for text in group if text.places & enduring & ~places) for group in groups)
        return _Foreign(foreign.digits, places, tuple(filter(None, left)))

    def _judged(self, text: _Text, *, of_own: bool) -> _Text | None:
        """A form with what is known of it by now; None: does not read back."""
        line = self._dialling.outside_line
        if line and text.line == len(line):
            return None
        if text.numeral is None:
            return text
        reads = reads_back(text.numeral, self._back[of_own], is_bare=text.kind is _Kind.BARE)
        if reads is False:
            return None
        return text._replace(numeral=None) if reads else text


def _overlap(one: str, other: str) -> bool:
    """Whether one of two texts begins with the other."""
    return one.startswith(other) or other.startswith(one)


def _is_certain(text: _Text) -> bool:
    """Whether a form is one for every number, or for every number that is dialled bare."""
    return text.numeral is None and text.line < 0


def _matched(line: str, text: str) -> int:
    """How many characters of an outside line a text matches, if it may still turn out to begin with it; else -1."""
    if not line:
        return -1
    return min(len(text), len(line)) if line.startswith(text) or text.startswith(line) else -1


def _line_step(line: str, at: int, digit: str) -> int:
    if at < 0 or at == len(line):
        return at
    return at + 1 if line[at] == digit else -1
