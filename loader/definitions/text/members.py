"""The members of a long list, and where each of them stands in the text."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from loader.definitions.text.tokens import Path


class Members:
    """The members of one list of a text, and where they stand in it.

    Args:
        path: the way to the list.
        values: the list itself, as it is in the document's value.
        bounds: in bytes and ascending, one more than there are members: the text of a member goes from its bound to the
            next. In JSON it begins behind the member before (or behind the bracket), in YAML with the line of its dash.
        column: how many blanks are before each dash in YAML.
    """

    __slots__ = ("bounds", "column", "path", "values")

    def __init__(self, path: Path, values: list[object], bounds: Iterable[int], column: int = 0) -> None:
        self.path = path
        self.values = values
        self.bounds = array("Q", bounds)
        self.column = column

    @property
    def start(self) -> int:
        """Where the first member begins."""
        return self.bounds[0]

    @property
    def end(self) -> int:
        """Where the last member ends."""
        return self.bounds[-1]

    def move(self, distance: int) -> None:
        """The text before the list has become longer by so much."""
        if distance:
            self.bounds = array("Q", [bound + distance for bound in self.bounds])

    def replace(self, first: int, behind: int, members: Members, distance: int) -> None:
        """Puts other members in the place of some.

        Args:
            first: the first one to go.
            behind: the first one to stay after that.
            members: what comes in their place, at its place in the new text.
            distance: how far the members behind have moved.
        """
        self.values[first:behind] = members.values
        kept = self.bounds[: first + 1]
        if members.values:
            kept = kept[:-1] + members.bounds
        self.bounds = kept + array("Q", [bound + distance for bound in self.bounds[behind + 1 :]])


@dataclass(frozen=True, slots=True)
class Change:
    """A part of a list's text that another part took the place of.

    Attributes:
        place: the list, as it was.
        first: the first member that is touched.
        behind: the first one after it that is not.
        old: the text of those between.
        new: the text that is there now.
        ends_text: whether nothing follows, neither before nor now.
    """

    place: Members
    first: int
    behind: int
    old: bytes
    new: bytes
    ends_text: bool

    @property
    def is_whole(self) -> bool:
        """Whether all members are touched."""
        return self.first == 0 and self.behind == len(self.place.values)


def in_bytes(text: str, places: Iterable[int]) -> Iterator[int]:
    """Places in a text, ascending, as places in its UTF-8."""
    if text.isascii():
        yield from places
        return
    last = there = 0
    for place in places:
        there += len(text[last:place].encode())
        last = place
        yield there


@dataclass(frozen=True, slots=True)
class Document:
    """What a text says.

    Attributes:
        value: dicts (whose keys are text), lists, str, int, float, bool, None and ``Date``.
        repeats_key: whether some mapping has a key twice; the last one is in ``value``.
        lists: in the order of the text, those long lists in ``value`` whose members it is known where they stand. Only
            where no key is there twice.
    """

    value: object
    repeats_key: bool
    lists: tuple[Members, ...] = ()
