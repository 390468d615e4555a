"""Deciding where a tenant says how it dials: over the forms of the number that an extension is.

Of each reading of the extension the best verdict over its words stands, by precedence; of two readings the stricter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.rules.model import Decision
from pdp.rules.precedence import rank
from pdp.rules.snapshot.automaton import NO_VERDICT
from pdp.rules.snapshot.protobuf import NOT_PLAIN
from pdp.rules.snapshot.verdict import verdict_parts

if TYPE_CHECKING:
    from pdp.rules.dialling import Dialling, Words
    from pdp.rules.snapshot.matcher import Matching
    from pdp.rules.snapshot.verdict import Verdict

_STRICTNESS = {Decision.ALLOW: 0, Decision.CHALLENGE: 1, Decision.DENY: 2}


class DialledMatching:
    """Decides as ``Matching`` does, of extensions as the tenant dials them.

    Args:
        matcher: decides a word.
        dialling: makes words of extensions.
    """

    def __init__(self, matcher: Matching, dialling: Dialling) -> None:
        self._matcher = matcher
        self._readings = dialling.readings
        self.knows_caller = matcher.knows_caller
        self.verdict = matcher.verdict
        self.message = matcher.message

    def match(self, caller: str, extension: str, outcall: str) -> int:
        """The number of the verdict, or NO_VERDICT.

        Raises:
            Undiallable: the extension cannot be dialled.
        """
        first, *others = self._readings(extension)
        number = self._best(caller, first, outcall)
        for words in others:
            other = self._best(caller, words, outcall)
            if self._strictness(other) > self._strictness(number):
                number = other
        return number

    def match_request(self, data: bytes, plain_from: int) -> int:  # noqa: ARG002 - as of Matching
        """No request is plain: its extension is to be read first."""
        return NOT_PLAIN

    def decide(self, caller: str, extension: str, outcall: str) -> Verdict:
        """The verdict itself.

        Raises:
            Undiallable: the extension cannot be dialled.
        """
        return self.verdict(self.match(caller, extension, outcall))

    def _best(self, caller: str, words: Words, outcall: str) -> int:
        """The verdict that prevails among those on some words."""
        match = self._matcher.match
        numbers = {match(caller, word, outcall) for word in words}
        numbers.discard(NO_VERDICT)
        if len(numbers) > 1:
            return min(numbers, key=self._rank)
        return numbers.pop() if numbers else NO_VERDICT

    def _rank(self, number: int) -> int:
        decision, stage, permission, _ = self.verdict(number)
        return rank(stage, decision, permission or 0)

    def _strictness(self, number: int) -> int:
        return _STRICTNESS[verdict_parts(number)[1]] if number != NO_VERDICT else 0
