"""Deciding from a snapshot's tables, in Python: the reference, and the fallback where the core is not built.

``core/src/python/matcher.rs`` is the same matcher in Rust; a test compares the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pdp.rules.core import core
from pdp.rules.snapshot.automaton import NO_VERDICT
from pdp.rules.snapshot.keytable import MISSING, find_text, find_user
from pdp.rules.snapshot.verdict import UNRESTRICTED, read_verdict

if TYPE_CHECKING:
    from pdp.rules.snapshot.automaton import Automaton
    from pdp.rules.snapshot.keytable import KeyTable
    from pdp.rules.snapshot.verdict import Verdict


class Matching(Protocol):
    """The interface of a matcher."""

    def knows_caller(self, caller: str) -> bool:
        """Whether the caller is a user of the tenant."""

    def match(self, caller: str, extension: str, outcall: str) -> int:
        """The number of the verdict of the first stage that has one, or NO_VERDICT."""

    def verdict(self, number: int) -> Verdict:
        """The verdict with a number that ``match`` returned."""

    def decide(self, caller: str, extension: str, outcall: str) -> Verdict:
        """The verdict on a call."""


class Matcher:
    """The matcher in Python.

    Args:
        users: from a UUID to the root of a profile.
        outcalls: from an outcall's id to the root of a profile.
        automaton: the automaton that contains the roots.
        permissions: where in the blob permissions' rows start.
        strings: where in the blob the names start that do not fit into their row.
    """

    def __init__(
        self, users: KeyTable, outcalls: KeyTable, automaton: Automaton, permissions: int, strings: int
    ) -> None:
        self._users = users
        self._outcalls = outcalls
        self._automaton = automaton
        self._permissions = permissions
        self._strings = strings

    def knows_caller(self, caller: str) -> bool:
        """Whether the caller is a user of the tenant."""
        return find_user(self._users, caller) != MISSING

    def match(self, caller: str, extension: str, outcall: str) -> int:
        """The number of the verdict of the first stage that has one, or NO_VERDICT."""
        word = self._automaton.word(extension)
        at = find_user(self._users, caller) if caller else MISSING
        if at != MISSING and (verdict := self._automaton.run(self._users.words[at], word)) != NO_VERDICT:
            return verdict
        at = find_text(self._outcalls, outcall) if outcall else MISSING
        return self._automaton.run(self._outcalls.words[at], word) if at != MISSING else NO_VERDICT

    def verdict(self, number: int) -> Verdict:
        """The verdict with a number that ``match`` returned."""
        if number == NO_VERDICT:
            return UNRESTRICTED
        return read_verdict(self._users.blob, self._permissions, self._strings, number)

    def decide(self, caller: str, extension: str, outcall: str) -> Verdict:
        """The verdict on a call."""
        return self.verdict(self.match(caller, extension, outcall))


def make_matcher(users: KeyTable, outcalls: KeyTable, automaton: Automaton, permissions: int, strings: int) -> Matching:
    """The best matcher of this installation; arguments as of ``Matcher``."""
    module = core().module
    if module is None:
        return Matcher(users, outcalls, automaton, permissions, strings)
    made: Matching = module.Matcher(users.blob)
    return made


def matcher_name() -> str:
    """The name of that matcher: ``native`` or ``python``."""
    return "python" if core().module is None else "native"
