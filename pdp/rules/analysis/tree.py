"""All extensions by outcome as a tree of digits: what begins so, with exceptions inside, and everything else.

A partition of all extensions into patterns (see ``reach``) takes many patterns for what is left over. The tree says
instead which beginnings differ from what surrounds them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from pdp.rules.patterns.alphabet import ANY_MASK, OTHER, STAR, columns
from pdp.rules.patterns.notation import LOOP, class_text, elements_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")

_State: TypeAlias = "tuple[tuple[int, int], ...]"
"""Patterns that the characters so far may still match, each by index, and the elements that were read."""


class NoTreeError(ValueError):
    """Patterns that end in digits behind any number of others, or that are no partition: there is no tree of these."""


@dataclass(frozen=True, slots=True)
class Twig(Generic[T]):
    """Extensions with one outcome, but for exceptions.

    Attributes:
        patterns: the extensions; of the root ``!``, which is everything.
        outcome: the outcome of those that match no pattern of ``twigs``.
        twigs: the exceptions, disjoint.
    """

    patterns: tuple[str, ...]
    outcome: T
    twigs: tuple[Twig[T], ...] = ()


def tree_of(outcomes: Iterable[tuple[T, Iterable[str]]]) -> Twig[T]:
    """The tree of a partition.

    Args:
        outcomes: each outcome with its patterns, in the notation of ``text_of``; each extension matches one of all.

    Raises:
        NoTreeError: there is no tree of these patterns.
    """
    return _Tree([(outcome, text) for outcome, texts in outcomes for text in texts]).root()


class _Tree(Generic[T]):
    def __init__(self, patterns: list[tuple[T, str]]) -> None:
        self._outcomes = [outcome for outcome, _ in patterns]
        self._elements = [elements_of(text) for _, text in patterns]
        if any(each == STAR or each & LOOP for row in self._elements for each in row[:-1]) or any(
            row[-1] & LOOP for row in self._elements if row and row[-1] != STAR
        ):
            raise NoTreeError("a pattern has any number of characters inside")
        self._steps: dict[_State, list[tuple[int, _State]]] = {}

    def root(self) -> Twig[T]:
        """Everything."""
        start = tuple((index, 0) for index in range(len(self._elements)))
        outcome = self._default(start)
        return Twig(("!",), outcome, tuple(_joined(self._inside(start, "", outcome, outcome))))

    def _inside(self, state: _State, path: str, outcome: T, end: T | None) -> Iterator[Twig[T]]:
        """The exceptions among what begins like ``path``.

        Args:
            state: the state behind ``path``.
            path: what was read.
            outcome: the outcome of what is no exception.
            end: the outcome of ``path`` itself that needs no saying; None: that of what is no exception.
        """
        own = self._end(state) if path else None  # an extension has a character
        if own is not None and own != (outcome if end is None else end):
            yield Twig((path,), own)
        if self._is_leaf(state):
            return
        for mask, then in self._on(state):
            yield from self._twigs(then, path + class_text(mask), outcome)

    def _twigs(self, state: _State, path: str, outside: T) -> Iterator[Twig[T]]:
        """What begins like ``path``, where that differs from what surrounds it."""
        outcome = self._default(state)
        if outcome == outside:
            yield from self._inside(state, path, outcome, None)
            return
        end = self._end(state)
        if end is None:
            raise NoTreeError("an extension matches no pattern")
        # "." leaves what surrounds in force for the path itself, and "!" includes the path.
        closing, said = (".", outside) if end == outside else ("!", outcome)
        yield Twig((path + closing,), outcome, tuple(_joined(self._inside(state, path, outcome, said))))

    def _is_leaf(self, state: _State) -> bool:
        return len(state) == 1 and self._elements[state[0][0]][state[0][1] :] == [STAR]

    def _end(self, state: _State) -> T | None:
        """The outcome of what was read, as a whole extension."""
        for index, at in state:
            if self._elements[index][at:] in ([], [STAR]):
                return self._outcomes[index]
        return None

    def _default(self, state: _State) -> T:
        """The outcome of what goes on with characters that no pattern names."""
        while not self._is_leaf(state):
            state = next((then for mask, then in self._on(state) if mask >> OTHER & 1), ())
            if not state:
                raise NoTreeError("an extension matches no pattern")
        return self._outcomes[state[0][0]]

    def _on(self, state: _State) -> list[tuple[int, _State]]:
        """The next states, each with the mask of the characters that lead there."""
        found = self._steps.get(state)
        if found is None:
            masks: dict[_State, int] = {}
            for symbol in columns(ANY_MASK):
                then = tuple(
                    (index, at if element == STAR else at + 1)
                    for index, at in state
                    for element in self._elements[index][at : at + 1]
                    if element == STAR or element >> symbol & 1
                )
                masks[then] = masks.get(then, 0) | 1 << symbol
            found = self._steps[state] = [(mask, then) for then, mask in masks.items()]
        return found


def _joined(twigs: Iterable[Twig[T]]) -> list[Twig[T]]:
    """Twigs with those joined that have one outcome and no exceptions."""
    joined: dict[object, Twig[T]] = {}
    for twig in twigs:
        key: object = twig.patterns if twig.twigs else (twig.outcome,)
        before = joined.get(key)
        joined[key] = twig if before is None else Twig((*before.patterns, *twig.patterns), twig.outcome)
    return list(joined.values())
