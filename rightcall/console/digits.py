"""What a person may dial as a tree of digits, with the number of patterns below each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pdp.rules.patterns.notation import elements_of, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rightcall.client.directory import Reach

_DEEPEST: Final = 6


@dataclass
class Branch:
    """All patterns that begin alike.

    Attributes:
        start: what they begin with, as in a pattern.
        counts: how many there are, by decision's name; ``varies`` for those of several decisions.
        branches: by the next element, those that go on with it.
    """

    start: str
    counts: dict[str, int] = field(default_factory=dict)
    branches: dict[str, Branch] = field(default_factory=dict)

    @property
    def parted(self) -> list[Branch]:
        """The branches below: none where all decide alike, since then there is nothing more to see."""
        return list(self.branches.values()) if len(self.counts) > 1 else []


def tree_of(reaches: Iterable[Reach]) -> list[Branch]:
    """The first branches, in the order of the digits."""
    root = Branch("")
    for name, pattern in _patterns(reaches):
        branch = root
        for element in _elements(pattern):
            branch = branch.branches.setdefault(element, Branch(branch.start + element))
            branch.counts[name] = branch.counts.get(name, 0) + 1
    _sort(root)
    return list(root.branches.values())


def _patterns(reaches: Iterable[Reach]) -> Iterator[tuple[str, str]]:
    for reach in reaches:
        name = reach.decision.name if reach.decision is not None else "varies"
        for each in reach.patterns:
            yield name, each.pattern


def _elements(pattern: str) -> list[str]:
    return [text_of([element]).removeprefix("_") for element in elements_of(pattern)[:_DEEPEST]]


def _sort(branch: Branch) -> None:
    branch.branches = dict(sorted(branch.branches.items(), key=lambda each: (not each[0][:1].isdigit(), each[0])))
    for each in branch.branches.values():
        _sort(each)
