"""The members of a long list, and the place of each in the text."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from loader.definitions.text.tokens import Path


class Members:
    """The members of one list, and their places in the text.

    Args:
        path: the path to the list.
        values: the list itself, an object of the document's value.
        bounds: in bytes and ascending, one more than members: the text of a member goes from one bound to the next. In
            JSON a member begins behind the previous one (or behind the bracket), in YAML with the line of the dash.
        column: number of blanks before each dash in YAML.
    """

    __slots__ = ("bounds", "column", "path", "values")

    def __init__(self, path: Path, values: list[object], bounds: Iterable[int], column: int = 0) -> None:
        self.path = path
        self.values = values
        self.bounds = array("Q", bounds)
        self.column = column

    @property
    def start(self) -> int:
        """The start of the first member."""
        return self.bounds[0]

    @property
    def end(self) -> int:
        """The end of the last member."""
        return self.bounds[-1]

    def move(self, distance: int) -> None:
        """The text before the list has become longer by so much."""
        if distance:
            self.bounds = array("Q", [bound + distance for bound in self.bounds])

    def replace(self, first: int, behind: int, members: Members, distance: int) -> None:
        """Replaces members.

        Args:
            first: the first member to replace.
            behind: the first member after those that stays.
            members: the new members, with their places in the new text.
            distance: bytes by which the members behind have moved.
        """
        self.values[first:behind] = members.values
        kept = self.bounds[: first + 1]
        if members.values:
            kept = kept[:-1] + members.bounds
        self.bounds = kept + array("Q", [bound + distance for bound in self.bounds[behind + 1 :]])


@dataclass(frozen=True, slots=True)
class Change:
    """A part of a list's text that was replaced.

    Attributes:
        place: the list before the edit.
        first: the first member of the part.
        behind: the first member behind the part.
        old: the replaced text.
        new: the replacing text.
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
    """Converts ascending offsets in a text to offsets in the UTF-8 bytes."""
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
    """The value of a text.

    Attributes:
        value: dicts (whose keys are text), lists, str, int, float, bool, None and ``Date``.
        repeats_key: whether a mapping has a key twice; the last one is in ``value``.
        lists: the long lists in ``value`` whose members' places are known, in the order of the text. Empty if a key is
            repeated.
    """

    value: object
    repeats_key: bool
    lists: tuple[Members, ...] = ()
