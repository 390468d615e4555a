"""Texts that must read back as one number: the digits of numbers, as states of automata.

A form of a number counts only if it reads as that number again. ``reads_back`` says whether, as soon as that is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from pdp.rules.analysis.dialled.captures import DIGITS
from pdp.rules.analysis.dialled.numeral import candidates_of
from pdp.rules.dialling.layout import LEAST_DIGITS, VALID

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.rules.analysis.dialled.numeral import Numeral
    from pdp.rules.dialling.numbering import NumberingTable

_State = TypeVar("_State")


class Interned(Generic[_State]):
    """States as integers."""

    def __init__(self) -> None:
        self.states: list[_State] = []
        self._numbers: dict[_State, int] = {}

    def number(self, state: _State) -> int:
        """The number of a state."""
        number = self._numbers.setdefault(state, len(self.states))
        if number == len(self.states):
            self.states.append(state)
        return number


class Digits(NamedTuple):
    """The digits of a number: the state of the own numbers' or foreign numbers' automaton, and at most seven digits."""

    is_own: bool
    state: int
    length: int
    sought: bool = False


class Automata:
    """Walks the automata of numbers, and knows which states can still lead to a label."""

    def __init__(self, numbering: NumberingTable) -> None:
        self._numbering = numbering
        self._leads: dict[tuple[int, int], bool] = {}

    def first(self, *, is_own: bool, sought: bool = False) -> Digits:
        """The state before the first digit."""
        starts = self._numbering.starts
        return Digits(is_own, starts.own if is_own else starts.foreign, 0, sought)

    def step(self, digits: Digits, digit: str) -> Digits:
        """The state behind one more digit."""
        state = self._numbering.next_state(digits.state, digit) if digits.state else 0
        return Digits(digits.is_own, state, min(digits.length + 1, LEAST_DIGITS), digits.sought)

    def behind(self, text: str, *, is_own: bool) -> int:
        """The state behind a text."""
        digits = self.first(is_own=is_own)
        for digit in text:
            digits = self.step(digits, digit)
        return digits.state

    def meet(self, states: Sequence[int]) -> bool:
        """Whether some digits make a valid number behind each of some states."""
        waiting = [tuple(states)]
        seen = set(waiting)
        for each in waiting:  # ``waiting`` grows in this loop
            if all(self._numbering.ends(state, VALID) for state in each):
                return True
            for digit in DIGITS:
                after = tuple(self._numbering.next_state(state, digit) for state in each)
                if all(after) and after not in seen:
                    seen.add(after)
                    waiting.append(after)
        return False

    def leads_to(self, state: int, label: int) -> bool:
        """Whether some digits lead to a label."""
        known = self._leads.get((state, label))
        if known is None:
            known = self._numbering.ends(state, label)
            known = known or any(
                self.leads_to(following, label)
                for digit in DIGITS
                if (following := self._numbering.next_state(state, digit))
            )
            self._leads[state, label] = known
        return known


class Stepping(Generic[_State]):
    """Candidates as numbered states, of which each step is worked out once.

    Args:
        automata: the automata of numbers.
    """

    def __init__(self, automata: Automata) -> None:
        self._automata = automata
        self._interned: Interned[_State] = Interned()
        self._steps: dict[tuple[int, str], int] = {}

    def step(self, candidate: int, digit: str) -> int:
        """The state behind one more digit."""
        known = self._steps.get((candidate, digit))
        if known is None:
            following = self._following(self._interned.states[candidate], digit)
            known = self._steps[candidate, digit] = self._interned.number(following)
        return known

    def is_long(self, candidate: int) -> bool:
        """Whether an own number has seven digits."""
        return self._digits(self._interned.states[candidate]).length == LEAST_DIGITS

    def may_be_valid(self, candidate: int) -> bool:
        """Whether some more digits could make an own number valid."""
        return self._automata.leads_to(self._digits(self._interned.states[candidate]).state, VALID)

    def _following(self, state: _State, digit: str) -> _State:
        raise NotImplementedError

    def _digits(self, state: _State) -> Digits:
        raise NotImplementedError


class ReadingBack(Stepping[Digits]):
    """Candidates of texts that must read back as one number: only the digits count, and which candidate is sought.

    Args:
        numbering: the table.
        of_own: whether the number that is sought is one of the own country.
    """

    def __init__(self, numbering: NumberingTable, *, of_own: bool) -> None:
        super().__init__(Automata(numbering))
        self._of_own = of_own

    def own(self, *, sought: bool) -> int:
        """An own number before its first digit."""
        return self._interned.number(self._automata.first(is_own=True, sought=sought and self._of_own))

    def foreign(self, *, sought: bool) -> int:
        """A foreign number before its first digit."""
        return self._interned.number(self._automata.first(is_own=False, sought=sought and not self._of_own))

    def unjudged(self, foreign: int) -> int:
        """The state of a foreign number where it does not count whether the number is valid."""
        return self._interned.number(self._interned.states[foreign]._replace(state=0))

    def is_sought(self, candidate: int) -> bool:
        """Whether a candidate is the number that is sought."""
        return self._interned.states[candidate].sought

    def _following(self, state: Digits, digit: str) -> Digits:
        return self._automata.step(state, digit)

    def _digits(self, state: Digits) -> Digits:
        return state


def reads_back(numeral: Numeral, candidates: ReadingBack, *, is_bare: bool) -> bool | None:
    """Whether a text reads as the number that is sought, given that this is a number; None: that is not known yet.

    Args:
        numeral: the reading of the text.
        candidates: the states of the numeral's candidates.
        is_bare: whether the number is dialled without the national prefix.
    """
    if not any(map(candidates.is_sought, candidates_of(numeral))):
        return False
    if numeral.prefixes or numeral.trunk or len(numeral.ends) > 1:
        return None
    if not numeral.ends:
        sought = numeral.taken if numeral.taken is not None else numeral.bare if is_bare else None
        return True if sought is not None and candidates.is_sought(sought) else None
    (read,) = numeral.ends
    # What a foreign number is does not depend on the prefix in front.
    if read.foreign is not None and candidates.is_sought(read.foreign):
        return True
    is_settled = read.own is not None and read.without is None and read.trunk < 0
    return True if is_settled and candidates.is_sought(read.own or 0) else None
