"""The walk over all texts that can be dialled in a tenant with a dialling plan.

States tell texts apart that rules may decide differently, now or behind some more characters. The decision on the texts
of a state is not worked out from the state, but from one of these texts, by the dialling plan that calls are read with.

A text begins with a *head*: the digits that may be a number. A code that hides the caller is left out of the head.
Behind a ``*``, ``#`` or letter nothing changes the number any more.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

from pdp.rules.analysis.dialled.forms import Forms
from pdp.rules.analysis.dialled.numeral import NOTHING, Numeral, Numerals, candidates_of
from pdp.rules.analysis.dialled.patterns import Patterns
from pdp.rules.analysis.positions import SYMBOLS
from pdp.rules.analysis.walk import Class, Graph, Signature, TooManyStatesError
from pdp.rules.dialling import Undiallable, form_of
from pdp.rules.dialling.folding import fold_diallable
from pdp.rules.dialling.numbering import PLUS
from pdp.rules.effort import CHECKPOINT
from pdp.rules.patterns.alphabet import FULL_WIDTH, OTHER
from pdp.rules.patterns.parser import parse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pdp.rules.analysis.positions import Tokens
    from pdp.rules.dialling import Dialling

_CHARACTERS = "0123456789*#+A"
"""B, C and D are dialled like A, and no pattern names any of these."""
_KEYS = "*#A"


class _Head(NamedTuple):
    """A text of digits, maybe behind ``+`` or a code that hides the caller.

    Attributes:
        code: the text, while it may become such a code; None: cannot.
        used: the positions that the text, with the code and without, leads to.
        line: matched digits of the outside line; -1: does not begin with it.
        first: the reading of what is behind the outside line; None: is not behind it.
        whole: the reading of the whole head.
    """

    code: str | None
    used: int
    line: int
    first: Numeral | None
    whole: Numeral


class _Tail(NamedTuple):
    """A text with a head and more.

    Attributes:
        code: as for a head.
        used: as for a head.
        matched: the signature of the head's readings, without that of the text itself where the first is no number.
        is_number: whether the first reading is a number.
    """

    code: str | None
    used: int
    matched: Signature
    is_number: bool


class _Other(Enum):
    """Texts that are not told apart any further."""

    UNDIALLABLE = auto()
    NUMBER = auto()
    """A number behind one of several international prefixes that fit: the same number is dialled with a ``+``."""
    LEFT_OUT = auto()
    """A text that may be two numbers, and one of these behind one of several international prefixes that fit."""


_State = _Head | _Tail | _Other


class DialledWalk(Graph):
    """The walk over dialled texts, of which forms are matched by some patterns; see ``walk_dialled``.

    Args:
        dialling: a dialling plan, made for these patterns at least.
        texts: the patterns.
        emergency: texts that are compared with the dialled text, not with forms.
        max_states: the limit of states.
        leaves_out: whether texts that may be two numbers are left out where several international prefixes fit.

    Attributes:
        dialling: the same.
        codes: the codes that hide the caller, also behind the outside line, each with that line or nothing.
        repeated: the states of texts with a number and more, which are decided as the number alone.
        left_out: the states of texts that are not told apart.

    Raises:
        TooManyStatesError: the walk has more states.
        PatternError: a pattern is invalid.
    """

    def __init__(
        self,
        dialling: Dialling,
        texts: Iterable[str],
        emergency: Iterable[str],
        max_states: int,
        *,
        leaves_out: bool = False,
    ) -> None:
        self.dialling = dialling
        self._leaves_out = leaves_out
        starts = [dialling.spelled(prefix) for prefix in dialling.spelled_prefixes]
        alike: dict[tuple[Tokens, tuple[str, ...]], int] = {}
        self.numbers: dict[str, int] = {}
        for text in texts:
            plain = text.replace("_", "")
            spelled = tuple(start for start in starts if plain.startswith(start))
            self.numbers[text] = alike.setdefault((parse(text).tokens, spelled), len(alike))
        self.emergency_numbers = {text: at for at, text in enumerate(dict.fromkeys(emergency), len(alike))}
        shown = [parse(text).tokens for text in self.emergency_numbers]
        self._patterns = Patterns([*(tokens for tokens, _ in alike), *shown], [spelled for _, spelled in alike])
        self._forms = Forms(self.dialling, self._patterns)
        self._numerals = Numerals(self.dialling.numbering, self._forms, alone=False)
        line = self.dialling.outside_line
        self.codes = {
            before + code: before for before in dict.fromkeys(("", line)) for code in self.dialling.hides_caller
        }
        self._signatures: list[Signature | None] = []
        self.repeated: set[int] = set()
        rows = self._rows(max_states)
        classes = [Class(SYMBOLS.get(each, OTHER), (SYMBOLS[each],) if each in SYMBOLS else ()) for each in _CHARACTERS]
        of_symbol = dict.fromkeys(range(FULL_WIDTH), len(_CHARACTERS) - 1)
        of_symbol |= {class_.symbol: at for at, class_ in enumerate(classes)}
        super().__init__(self._patterns.positions, rows, classes, of_symbol)

    def signature(self, state: int) -> Signature | None:
        """The positions where the patterns end that match a form, for each number that the state's texts may be."""
        return self._signatures[state]

    def signature_in(self, walk: Graph, state: int) -> Signature:  # noqa: ARG002 - the only walk
        """The signature of a state that has one."""
        return self._signatures[state] or ()

    def state_of(self, extension: str) -> int:
        """The state that an extension leads to."""
        try:
            state = super().state_of(fold_diallable(extension))
        except Undiallable:
            return self._known[_Other.UNDIALLABLE]
        if state == self._known.get(_Other.NUMBER):
            return super().state_of(self._with_plus(self.dialling.numbers(extension)[0]))
        return state

    def _with_plus(self, number: str) -> str:
        """A number as it is dialled with a ``+``."""
        if number[0] == PLUS:
            return number
        numbering = self.dialling.numbering
        own = PLUS + numbering.code
        reads = numbering.number(own + number, behind_line=False) == number
        return own + (number if reads else numbering.prefix + number)

    def _rows(self, max_states: int) -> list[tuple[int, ...]]:
        """The next state for each state and character."""
        first: _State = self._first("", self._patterns.everything)
        numbers: dict[_State, int] = {first: 0}
        texts = [""]
        states: list[_State] = [first]
        rows: list[tuple[int, ...]] = []
        checkpoint = CHECKPOINT.get()
        for state in states:  # ``states`` grows in this loop
            checkpoint()
            text = texts[len(rows)]
            self._signatures.append(self._signature(state, text))
            if isinstance(state, _Tail) and state.is_number:
                self.repeated.add(len(rows))
            row = []
            for character in _CHARACTERS:
                to = self._step(state, text, character)
                number = numbers.get(to)
                if number is None:
                    number = numbers[to] = len(states)
                    states.append(to)
                    texts.append(text + character)
                row.append(number)
            rows.append(tuple(row))
            if len(states) > max_states:
                raise TooManyStatesError(max_states, len(self.numbers))
        self._known = {state: numbers[state] for state in _Other if state in numbers}
        self.leaves_out = _Other.LEFT_OUT in self._known
        self.left_out = {number for state, number in self._known.items() if state is not _Other.UNDIALLABLE}
        return rows

    def _first(self, code: str | None, used: int) -> _Head:
        numbering = self.dialling.numbering
        if not numbering.has_country:
            return _Head(code, used, -1, None, NOTHING)
        line = 0 if self.dialling.outside_line else -1
        return _Head(code, used, line, None, self._numerals.start(behind_line=False))

    def _step(self, state: _State, text: str, character: str) -> _State:
        """The state behind one more character.

        Args:
            state: the state before.
            text: a text that leads to it.
            character: the character.
        """
        if isinstance(state, _Other):
            return state
        if character == PLUS and text:
            return _Other.UNDIALLABLE
        code = None if state.code is None else state.code + character
        used = self._patterns.step(state.used, character)
        before = self.codes.get(state.code) if state.code is not None else None
        if before is not None:
            shown = self._first(None, self._patterns.rules)
            for each in before:
                shown = self._with(shown, each, None, self._patterns.step(shown.used, each))
            state = shown
            used |= self._patterns.step(shown.used, character)
            code = None
        elif code is not None and code != PLUS and not any(each.startswith(code) for each in self.codes):
            code = None  # a lone + is no text yet, and so a state of its own
        if isinstance(state, _Tail):
            return state._replace(code=code, used=used)
        if character in _KEYS:
            return self._tail(text + character, code, used)
        return self._read(state, character, code, used)

    def _read(self, head: _Head, character: str, code: str | None, used: int) -> _State:
        """A head with one more digit, or ``+``, without what does not count any more."""
        head = self._with(head, character, code, used)
        if self._leaves_out and head.first is not None and len(head.whole.ends) > 1:
            return _Other.LEFT_OUT
        is_alone = head.line < 0 if head.first is None else head.whole == NOTHING
        numeral = head.whole if head.first is None else head.first
        if is_alone:
            numeral = self._numerals.unjudged(numeral)
            if self._numerals.is_behind_some_prefix(numeral):
                return _Other.NUMBER
        if self._numerals.is_certain(numeral) and (is_alone or head.first is not None):
            head = head._replace(used=head.used & self._patterns.emergency)
            numbers = set(map(self._forms.settled, candidates_of(numeral))) if is_alone else set()
            if len(numbers) == 1 and None not in numbers:
                return _Head(head.code, head.used, -1, None, Numeral(taken=numbers.pop()))
        return head._replace(whole=numeral) if head.first is None else head._replace(first=numeral)

    def _with(self, head: _Head, character: str, code: str | None, used: int) -> _Head:
        """A head with one more digit, or ``+``."""
        numerals, outside = self._numerals, self.dialling.outside_line
        if not self.dialling.numbering.has_country:
            return _Head(code, used, -1, None, NOTHING)
        if character == PLUS:
            return _Head(code, used, -1, None, numerals.plus())
        whole = numerals.step(head.whole, character)
        first, line = head.first, head.line
        if first is not None:
            first = numerals.step(first, character)
        elif line >= 0:
            line = line + 1 if outside[line] == character else -1
            if line == len(outside):
                first = numerals.start(behind_line=True)
        if first is not None:
            whole = numerals.only_valid(whole)
            if not whole.prefixes and not whole.trunk and not self._may_be_valid(whole):
                whole = NOTHING
        return _Head(code, used, line, first, whole)

    def _may_be_valid(self, numeral: Numeral) -> bool:
        return any(map(self._forms.may_be_valid, candidates_of(numeral)))

    def _tail(self, text: str, code: str | None, used: int) -> _Tail:
        """The state of a text that ends with the first key behind its head."""
        readings = self.dialling.readings(text)
        is_number = text not in readings[0]
        if is_number:
            return _Tail(code, used & self._patterns.emergency, tuple(map(self._matched, readings)), is_number)
        heads = [word for word in readings[0] if not any(key in word for key in _KEYS)]
        return _Tail(code, used, (self._matched(heads), *map(self._matched, readings[1:])), is_number)

    def _signature(self, state: _State, text: str) -> Signature | None:
        if isinstance(state, _Other) or text in ("", PLUS):
            return None
        shown = self._patterns.positions.accepted(self._patterns.emergency_behind(text))
        return tuple(self._matched(words) | shown for words in self.dialling.readings(text))

    def _matched(self, words: Iterable[str]) -> int:
        """The positions where the patterns end that match any of some words."""
        positions = 0
        for word in words:
            form, spelled = form_of(word)
            positions |= self._patterns.matched(form, form[:spelled])
        return positions


def walk_dialled(dialling: Dialling, texts: Iterable[str], emergency: Iterable[str], max_states: int) -> DialledWalk:
    """The walk over dialled texts: over all of these, or, where these take too many states, with some left out.

    Raises:
        TooManyStatesError: the walk has more states, too.
        PatternError: a pattern is invalid.
    """
    texts, emergency = tuple(texts), tuple(emergency)
    try:
        return DialledWalk(dialling, texts, emergency, max_states)
    except TooManyStatesError:
        if not dialling.outside_line:
            raise
    return DialledWalk(dialling, texts, emergency, max_states, leaves_out=True)
