"""Several walks at once, over the texts that can be dialled in all of these: for versions that dial differently."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.rules.analysis.walk import Class, Graph, TooManyStatesError
from pdp.rules.patterns.alphabet import DIALABLE, OTHER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.rules.analysis.walk import Signature

_SYMBOLS = (*(symbol for symbol, character in enumerate(DIALABLE) if character != "-"), OTHER)
"""Those of texts without separators, of which the last is any letter."""


class JointGraph(Graph):
    """Several walks at once.

    Args:
        walks: the walks.
        max_states: the limit of states.

    Raises:
        TooManyStatesError: there are more states.
    """

    def __init__(self, walks: Sequence[Graph], max_states: int) -> None:
        self._walks = tuple(walks)
        self._states = [(0,) * len(walks)]
        self._numbers = numbers = {self._states[0]: 0}
        rows: list[tuple[int, ...]] = []
        for state in self._states:  # ``_states`` grows in this loop
            row = []
            for symbol in _SYMBOLS:
                to = tuple(walk.rows[at][walk.of_symbol[symbol]] for walk, at in zip(walks, state, strict=True))
                number = numbers.setdefault(to, len(numbers))
                if number == len(self._states):
                    self._states.append(to)
                row.append(number)
            rows.append(tuple(row))
            if len(self._states) > max_states:
                raise TooManyStatesError(max_states, sum(walk.patterns for walk in walks))
        classes = [Class(symbol, (symbol,) if symbol != OTHER else ()) for symbol in _SYMBOLS]
        of_symbol = {symbol: at for at, symbol in enumerate(_SYMBOLS)}
        super().__init__(walks[0].positions, rows, classes, of_symbol)

    def signature(self, state: int) -> tuple[object, ...] | None:
        """The signatures in all walks; None: some walk has none."""
        found = tuple(walk.signature(at) for walk, at in zip(self._walks, self._states[state], strict=True))
        return None if None in found else found

    def signature_in(self, walk: Graph, state: int) -> Signature:
        """The signature in one of the walks."""
        return walk.signature_in(walk, self._states[state][self._walks.index(walk)])

    def state_of(self, extension: str) -> int:
        """The state that an extension leads to, without separators; the first one where that is not known."""
        return self._numbers.get(tuple(walk.state_of(extension) for walk in self._walks), 0)
