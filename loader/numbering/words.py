"""Writing automata of digit strings as words of 16 bits (see ``pdp.rules.dialling.layout``)."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from loader.numbering.languages import EMPTY
from pdp.rules.dialling.layout import ACTION, LABEL_SHIFT, MATCH, MATCH_AT_END

if TYPE_CHECKING:
    from loader.numbering.languages import Languages, Node

_MOST_WORDS = 1 << 16


class TableTooLarge(ValueError):
    """The states do not fit into words of 16 bits."""


class WordsWriter:
    """Collects the states of automata; equal states that were added in the same form are merged."""

    def __init__(self, languages: Languages) -> None:
        self._languages = languages
        # State 0: one transition for all digits, to state 0.
        self.words = array("H", (1, 0))

    def add(self, root: Node, *, actions: bool = False) -> int:
        """Adds an automaton, and returns the start state.

        Args:
            root: the set of strings that the automaton reads.
            actions: whether labels are actions of ``trunk_automaton`` rather than bits.
        """
        states: dict[Node, int] = {EMPTY: 0}
        waiting = [root]
        order: list[Node] = []
        while waiting:
            node = waiting.pop()
            if node in states:
                continue
            if actions and (label := self._languages.labels[node]):
                self.words.extend((label >> 16, label & (1 << 16) - 1))
            states[node] = len(self.words)
            order.append(node)
            self.words.extend([0] * (1 + len(self._runs(node))))
            waiting += reversed(self._languages.ways[node])
        if len(self.words) > _MOST_WORDS:
            raise TableTooLarge(f"the automata of a numbering table take {len(self.words)} words, {_MOST_WORDS} fit")
        for node in order:
            self._fill(node, states, actions=actions)
        return states[root]

    def _fill(self, node: Node, states: dict[Node, int], *, actions: bool) -> None:
        """Writes a state, after all states have places."""
        label = self._languages.labels[node]
        if actions:
            header = (MATCH if label & ACTION else 0) | (MATCH_AT_END if label >> 16 else 0)
        else:
            header = label << LABEL_SHIFT
        state = states[node]
        for offset, (digit, way) in enumerate(self._runs(node)):
            header |= 1 << digit
            self.words[state + 1 + offset] = states[way]
        self.words[state] = header

    def _runs(self, node: Node) -> list[tuple[int, Node]]:
        """The digits whose transition differs from that of the digit before, each with the target."""
        ways = self._languages.ways[node]
        return [(digit, way) for digit, way in enumerate(ways) if not digit or way != ways[digit - 1]]
