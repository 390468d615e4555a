"""From one text to the next: only the changed members of long lists are parsed.

The old and the new text are compared as bytes. The text around the long lists must be the same in both. Then the new
text has the meaning of the old one except for the members in the changed parts of the lists, if these parts, parsed
alone, are members and nothing else. The readers of JSON and YAML check that.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, NamedTuple

from loader.definitions.following.difference import Pair
from loader.definitions.text.members import Change

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from loader.definitions.text.members import Members


class _Place(NamedTuple):
    """A list whose text may have changed, and the places of the members in the new text."""

    members: Members
    start: int
    end: int


def follow(old: bytes, new: bytes, lists: Sequence[Members], parse_members: Callable[[Change], Members | None]) -> bool:
    """Makes the lists of the old text those of the new one.

    Args:
        old: the text that holds the lists.
        new: the text whose lists are wanted.
        lists: in the order of the text.
        parse_members: parses the members in a changed part of a list; returns None if the whole text must be read.

    Returns:
        Whether the edit succeeded; otherwise the lists are unchanged.
    """
    places = _places(old, new, lists)
    changes = [change for place in places or () if (change := _change(old, new, place)) is not None]
    read = [parse_members(change) for change in changes]
    if places is None or None in read:
        return False
    by_list = {id(change.place): (change, members) for change, members in zip(changes, read, strict=True)}
    moved = 0
    for each in lists:
        each.move(moved)
        change, members = by_list.get(id(each), (None, None))
        if change is not None and members is not None:
            longer = len(change.new) - len(change.old)
            members.move(each.bounds[change.first])
            each.replace(change.first, change.behind, members, longer)
            moved += longer
    return True


def _places(old: bytes, new: bytes, lists: Sequence[Members]) -> list[_Place] | None:
    """The lists from the first to the last that changed; None where something else did."""
    longer = len(new) - len(old)
    starts = [each.start for each in lists]
    pair = Pair(old, 0, len(old), new, 0, len(new))
    last = max(bisect_right(starts, pair.changed(len(old))[1]) - 1, 0)
    if pair.changed(lists[last].end)[1] > lists[last].end:
        last = min(last + 1, len(lists) - 1)
    first_byte, behind = pair.changed(lists[last].end)
    first = bisect_right(starts, first_byte) - 1
    if first < 0 or behind > lists[last].end:
        return None
    places = []
    start = lists[first].start
    at_least, at_most = min(first_byte, lists[first].end), max(behind, lists[last].start) + longer
    for one, other in zip(lists[first:last], lists[first + 1 : last + 1], strict=True):
        # With the byte before, the text between two lists begins a line of YAML, or behind a member of JSON. It may
        # equal a changed part beside, and so seem unchanged, or the reverse.
        between = old[one.end - 1 : other.start]
        slack = len(between)
        found = new.find(between, max(at_least - slack, start - 1), min(at_most + slack, lists[last].end + longer))
        if found < 0:
            return None
        places.append(_Place(one, start, found + 1))
        start = at_least = found + slack
    places.append(_Place(lists[last], start, lists[last].end + longer))
    return places


def _change(old: bytes, new: bytes, place: _Place) -> Change | None:
    """The members that an edit of one list touches; None if there are none."""
    members, bounds = place.members, place.members.bounds
    size, now_size = members.end - members.start, place.end - place.start
    pair = Pair(old, members.start, members.end, new, place.start, place.end)
    first_byte, behind_byte = pair.changed(size)
    if first_byte == size == now_size:
        return None
    first = bisect_right(bounds, members.start + first_byte) - 1
    behind = bisect_left(bounds, members.start + behind_byte)
    if behind == 0 and members.values:
        behind = 1  # before the first member there is no comma, and one may be needed now
    ends_text = members.end == len(old) and place.end == len(new) and behind == len(members.values)
    if ends_text and first and first == behind:
        first -= 1  # the last line of the text may have no end, and go on
    start, end = bounds[first] - members.start, bounds[behind] - members.start + now_size - size
    now = new[place.start + start : place.start + end]
    return Change(members, first, behind, old[bounds[first] : bounds[behind]], now, ends_text)
