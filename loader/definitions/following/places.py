"""The lines of values in a text whose long lists are known: only the wanted members are scanned."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from loader.definitions.text.locate import Lines, locate
from loader.definitions.text.tokens import MEMBER_DEPTH, Path, UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

    from loader.definitions.text.members import Document, Members


class _Inner(NamedTuple):
    """The lines within a member, counted from the member's first."""

    member: object
    paths: set[Path]
    lines: Lines


class _Asked(NamedTuple):
    """A member whose lines are wanted: path, value, text, and the wanted paths within."""

    path: Path
    member: object
    text: bytes
    line: int
    paths: set[Path]
    column: int


class Places:
    """Finds lines, and remembers those within members, which stay the same as long as the member does.

    Args:
        reader: of the text, ``json_text`` or ``yaml_text``.
    """

    def __init__(self, reader: ModuleType) -> None:
        self._reader = reader
        self._inner: dict[int, _Inner] = {}

    def lines(self, data: bytes, document: Document, paths: Iterable[Path]) -> Lines:
        """Returns the lines of values.

        Args:
            data: the text.
            document: the document parsed from the text.
            paths: the paths to the values.

        Raises:
            UnreadableError: the text is too deep.
        """
        paths = list(paths)
        try:
            lines = self._by_parts(data, document, paths) if document.lists else None
        except UnreadableError:  # too deep: the walk over the whole text knows where first
            lines = None
        return locate(self._reader.tokens(data), paths) if lines is None else lines

    def _by_parts(self, data: bytes, document: Document, paths: list[Path]) -> Lines | None:
        """The lines, from the text without members and from each member alone; None if these may be wrong."""
        wanted, others = _by_member(document.lists, paths)
        if wanted is None:
            return None
        lines = locate(self._reader.tokens(_without_members(data, document.lists)), others) if others else Lines()
        inner: dict[int, _Inner] = {}
        for asked in self._asked(data, document.lists, wanted):
            known = self._inner.get(id(asked.member))
            if known is None or known.member is not asked.member or known.paths != asked.paths:
                tokens = self._reader.member_tokens(asked.text, asked.column)
                if tokens is None:
                    return None
                known = _Inner(asked.member, asked.paths, locate(tokens, asked.paths, MEMBER_DEPTH))
            inner[id(asked.member)] = known
            lines.include(asked.path, known.lines, asked.line)
        self._inner = inner
        return lines

    def _asked(
        self, data: bytes, lists: Iterable[Members], wanted: dict[Path, dict[int, set[Path]]]
    ) -> Iterator[_Asked]:
        """The wanted members in the order of the text, each with the number of lines before."""
        line = at = 0
        for members in lists:
            for index, paths in sorted(wanted[members.path].items()):
                start, end = members.bounds[index : index + 2]
                start = self._reader.member_start(data, start)
                line += data.count(b"\n", at, start)
                at = start
                path = (*members.path, index)
                yield _Asked(path, members.values[index], data[start:end], line, paths, members.column)


def _by_member(
    lists: Iterable[Members], paths: Iterable[Path]
) -> tuple[dict[Path, dict[int, set[Path]]] | None, list[Path]]:
    """The paths that lead into members, by list and member, from the member on; and all other paths.

    None instead of the former where a path leads to a list as a whole, or to a member that is not there.
    """
    wanted: dict[Path, dict[int, set[Path]]] = {each.path: defaultdict(set) for each in lists}
    sizes = {each.path: len(each.values) for each in lists}
    others = []
    for path in paths:
        list_path = path[: MEMBER_DEPTH - 1]
        if list_path not in wanted:
            others.append(path)
            continue
        index = path[MEMBER_DEPTH - 1] if len(path) >= MEMBER_DEPTH else None
        if not isinstance(index, int) or index >= sizes[list_path]:
            return None, []
        wanted[list_path][index].add(path[MEMBER_DEPTH:])
    return wanted, others


def _without_members(data: bytes, lists: Iterable[Members]) -> bytes:
    """The text with only line ends in the long lists."""
    parts = []
    at = 0
    for members in lists:
        parts += [data[at : members.start], b"\n" * data.count(b"\n", members.start, members.end)]
        at = members.end
    return b"".join([*parts, data[at:]])
