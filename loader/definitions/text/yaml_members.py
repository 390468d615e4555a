"""The places of members in YAML's long lists, and when members alone have the same meaning as in the whole text.

Members alone have the same meaning if each begins a line with a dash, all dashes are in one column, and every other
line is indented deeper, empty or a comment. At such a dash the reader of YAML is in the same state after any text:
deeper levels are closed, and outer levels do not count until a line is indented less. Features that reach further are
not read this way: anchors, aliases and tags, tabs, and characters that end a line for YAML alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

from loader.definitions.text.members import Members, in_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loader.definitions.text.members import Change
    from loader.definitions.text.tokens import Path

_OTHER_BREAKS = ("\u0085".encode(), "\u2028".encode(), "\u2029".encode())


class Mark(Protocol):
    """A place in a text, counted in characters."""

    index: int
    column: int


@dataclass(slots=True)
class Run:
    """A list that is being read.

    Attributes:
        path: the path to the list.
        values: the list itself.
        column: the column of the first dash.
        marks: the start of each member, behind the dash.
        end: the start of the text behind the list; None at the end of the text.
    """

    path: Path
    values: list[object]
    column: int
    marks: list[Mark] = field(default_factory=list)
    end: Mark | None = None


def members(data: bytes, runs: Iterable[Run]) -> tuple[Members, ...]:
    """The lists of a text whose members mean the same by themselves."""
    if not _has_plain_breaks(data):
        return ()
    text = data.decode()
    known = []
    last = 0
    for run in runs:
        end = len(text) if run.end is None else run.end.index - run.end.column
        starts = [mark.index - mark.column for mark in run.marks]
        dash = " " * run.column + "- "
        if all(text.startswith(dash, start) for start in starts) and _ascend([last, *starts, end]):
            known.append(Members(run.path, run.values, [*starts, end], run.column))
            last = end
    bounds = in_bytes(text, (bound for each in known for bound in each.bounds))
    for each in known:
        each.bounds = type(each.bounds)("Q", [next(bounds) for _ in each.bounds])
    return tuple(each for each in known if is_indented(data[each.bounds[-2] : each.end], each.column))


def stand_alone(change: Change, column: int) -> bool:
    """Whether the old and the new text of a change are members and nothing else, as far as lines tell."""
    if not change.new.startswith(b" " * column + b"- ") or not _has_plain_breaks(change.new):
        return False
    for text in (change.old, change.new):
        if not is_indented(text, column) or not (change.ends_text or text[-1:] in (b"", b"\n")):
            return False
    return True


def is_indented(text: bytes, column: int) -> bool:
    """Whether every line is empty, a comment, deeper than the dash, or begins with a dash in the same column."""
    for line in text.split(b"\n"):
        content = line.lstrip(b" ")
        depth = len(line) - len(content)
        is_inside = depth > column or (depth == column and content.startswith(b"- "))
        if not is_inside and content[:1] != b"#" and content not in (b"", b"\r"):
            return False
    return b"\t" not in text


def _has_plain_breaks(data: bytes) -> bool:
    """Whether lines end for YAML exactly at line feeds."""
    return data.count(b"\r") == data.count(b"\r\n") and not any(each in data for each in _OTHER_BREAKS)


def _ascend(places: list[int]) -> bool:
    return all(one <= other for one, other in pairwise(places))
