"""The walk of a word through an automaton, step by step, for people who want to see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pdp.rules.model import Stage
from pdp.rules.patterns.alphabet import ANY_MASK, END, OTHER
from pdp.rules.patterns.notation import class_text
from pdp.rules.snapshot.automaton import LEAF, LITERAL, NO_VERDICT, VERDICT
from pdp.rules.snapshot.keytable import MISSING, KeyTable, find_text, find_user

if TYPE_CHECKING:
    from pdp.rules.snapshot.snapshot import Snapshot
    from pdp.rules.snapshot.verdict import Verdict

_EVERYTHING: Final = ANY_MASK & (1 << END) - 1
"""Any character, in an alphabet without gaps."""


class Step(NamedTuple):
    """One character of a walk.

    Attributes:
        read: the character; empty: the end of the word.
        through: all characters that lead to the same place.
        beside: the other ways out of the place that a pattern may match, as the characters that lead there.
    """

    read: str
    through: str
    beside: tuple[str, ...]


class Walk(NamedTuple):
    """A walk through one automaton.

    Attributes:
        stage: whose automaton it is: USER, of the caller's own permissions and those of groups, or OUTCALL.
        steps: the steps that were needed.
        rest: how the characters that are left are compared: ``literal``, ``patterns``, or empty: they do not count.
        verdict: the verdict; None: no pattern matches.
    """

    stage: Stage
    steps: tuple[Step, ...]
    rest: str
    verdict: Verdict | None


def walks(snapshot: Snapshot, caller: str, word: str, outcall: str) -> list[Walk]:
    """The walks that decide a call: the second one only where the first finds nothing.

    Args:
        snapshot: the rules.
        caller: a user's UUID, or nothing.
        word: the extension, in the form that is matched.
        outcall: an outcall's id, or nothing.
    """
    users, outcalls = snapshot._users, snapshot._outcalls  # noqa: SLF001 - a part of reading snapshots, in a file of its own
    found: list[Walk] = []
    for stage, table, at in (
        (Stage.USER, users, find_user(users, caller)),
        (Stage.OUTCALL, outcalls, find_text(outcalls, outcall)),
    ):
        if at != MISSING and not (found and found[-1].verdict):
            found.append(_walk(snapshot, stage, _root(table, at), word))
    return found


def _root(table: KeyTable, at: int) -> int:
    root: int = table.words[at]
    return root


def _walk(snapshot: Snapshot, stage: Stage, root: int, word: str) -> Walk:
    automaton = snapshot._automaton  # noqa: SLF001 - as above
    symbols = automaton.word(word)
    steps, value, row = [], root, root
    for symbol, read in zip(symbols, (*word, ""), strict=True):
        if value >= VERDICT:
            break
        ways: dict[tuple[int, int], int] = {}
        for each in range(END):
            after = automaton.step(value, row, each)
            ways[after] = ways.get(after, 0) | 1 << each
        reached = automaton.step(value, row, symbol)
        beside = tuple(
            _text(mask) for after, mask in ways.items() if after != reached and after[0] != VERDICT + NO_VERDICT
        )
        steps.append(Step(read, _text(ways.get(reached, 0)) if read else "", beside))
        value, row = reached
    number = automaton.run(root, symbols)
    rest = "literal" if LITERAL <= value < LEAF else "patterns" if value >= LEAF else ""
    return Walk(stage, tuple(steps), rest, snapshot.verdict(number) if number != NO_VERDICT else None)


def _text(mask: int) -> str:
    if mask == _EVERYTHING:
        return "any"
    # What no pattern can name is said in few words: it goes with everything that is not listed.
    return class_text(mask | ANY_MASK & ~_EVERYTHING) if mask >> OTHER & 1 else class_text(mask)
