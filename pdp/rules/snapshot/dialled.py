"""Deciding for a tenant with a dialling plan: over the forms of the number that an extension stands for.

Of each reading of the extension the best verdict over its words stands, by precedence; of two readings the stricter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.rules.precedence import rank
from pdp.rules.snapshot.automaton import NO_VERDICT

if TYPE_CHECKING:
    from pdp.rules.dialling import Dialling, Words
    from pdp.rules.snapshot.matcher import Matching
    from pdp.rules.snapshot.verdict import Verdict

_STRICTNESS = (0, 0, 2, 1)
"""The strictness of a decision, by its bits in a verdict's number: none, ALLOW, DENY, CHALLENGE."""
_REMEMBERED = 65_536
"""The most ranks of verdicts that are kept; each verdict is a permission in a stage."""


class DialledMatching:
    """Decides as ``Matching`` does, for extensions as the tenant dials.

    Args:
        matcher: decides on a word.
        dialling: turns extensions into words.
    """

    def __init__(self, matcher: Matching, dialling: Dialling) -> None:
        self._match = matcher.match
        self._readings = dialling.readings
        self._ranks: dict[int, int] = {}
        self.knows_caller = matcher.knows_caller
        self.verdict = matcher.verdict

    def match(self, caller: str, extension: str, outcall: str) -> int:
        """The number of the verdict, or NO_VERDICT.

        Raises:
            Undiallable: the extension cannot be dialled.
        """
        readings = self._readings(extension)
        number = self._best(caller, readings[0], outcall)
        for words in readings[1:]:
            other = self._best(caller, words, outcall)
            if _STRICTNESS[other & 3] > _STRICTNESS[number & 3]:
                number = other
        return number

    def decide(self, caller: str, extension: str, outcall: str) -> Verdict:
        """The verdict on a call.

        Raises:
            Undiallable: the extension cannot be dialled.
        """
        return self.verdict(self.match(caller, extension, outcall))

    def _best(self, caller: str, words: Words, outcall: str) -> int:
        """The verdict that prevails over these words."""
        match, best = self._match, NO_VERDICT
        for word in words:
            number = match(caller, word, outcall)
            if number not in (best, NO_VERDICT) and (best == NO_VERDICT or self._rank(number) < self._rank(best)):
                best = number
        return best

    def _rank(self, number: int) -> int:
        found = self._ranks.get(number)
        if found is None:
            decision, stage, permission, _ = self.verdict(number)
            found = rank(stage, decision, permission or 0)
            if len(self._ranks) < _REMEMBERED:
                self._ranks[number] = found
        return found
