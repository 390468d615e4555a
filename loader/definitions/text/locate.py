"""Lines of values, and keys that occur twice in a mapping.

Both need a second walk over the text, made only for a text with faults: nearly every text has none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from loader.definitions.text.tokens import MAX_DEPTH, Kind, Path, Step, too_deep

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loader.definitions.text.tokens import Token


@dataclass(slots=True)
class Lines:
    """The lines of values in a text.

    Attributes:
        repeated: repeated keys of mappings: path and line of each.
    """

    repeated: list[tuple[Path, int]] = field(default_factory=list)
    _values: dict[Path, int] = field(default_factory=dict)
    _keys: dict[Path, int] = field(default_factory=dict)

    def include(self, path: Path, inner: Lines, lines: int) -> None:
        """Adds the lines of a part of the text.

        Args:
            path: the path to the part's value.
            inner: the lines within the part.
            lines: number of lines before the part.
        """
        self._values.update({(*path, *way): lines + line for way, line in inner._values.items()})
        self._keys.update({(*path, *way): lines + line for way, line in inner._keys.items()})

    def of(self, path: Path, *, key: bool = False) -> int | None:
        """The line of a value or a key; for an absent one, the line of the nearest value around."""
        if key and path in self._keys:
            return self._keys[path]
        while path and path not in self._values:
            path = path[:-1]
        return self._values.get(path)


@dataclass(slots=True)
class _Open:
    """A list or mapping around the current token; ``wanted`` is the part of the wanted paths below."""

    mapping: bool
    wanted: dict[Step, Any] | None
    step: Step | None = None
    keys: set[str] = field(default_factory=set)


def locate(tokens: Iterable[Token], paths: Iterable[Path], depth: int = 0) -> Lines:
    """Finds the lines of paths and of the values around.

    Args:
        tokens: the tokens of a text, or of one value.
        paths: the wanted paths.
        depth: number of levels around the tokens.

    Raises:
        UnreadableError: the text is deeper than MAX_DEPTH.
    """
    return _Walk(paths, depth).over(tokens)


class _Walk:
    """One walk over the tokens of a text."""

    def __init__(self, paths: Iterable[Path], depth: int) -> None:
        self._depth = depth
        self._wanted: dict[Step, Any] = {}
        for path in paths:
            branch = self._wanted
            for step in path:
                branch = branch.setdefault(step, {})
        self._open: list[_Open] = []
        self._lines = Lines()

    def over(self, tokens: Iterable[Token]) -> Lines:
        """The lines of everything wanted."""
        for kind, text, line in tokens:
            if kind is Kind.CLOSE:
                self._open.pop()
                self._done()
            elif kind is Kind.SCALAR:
                if self._is_key():
                    self._key(text, line)
                else:
                    self._value(line)
                    self._done()
            else:
                if len(self._open) + self._depth == MAX_DEPTH:
                    raise too_deep(line)
                self._open.append(_Open(kind is Kind.OPEN_MAPPING, self._value(line)))
        return self._lines

    def _path(self) -> Path:
        return tuple(level.step for level in self._open if level.step is not None)

    def _is_key(self) -> bool:
        return bool(self._open) and self._open[-1].mapping and self._open[-1].step is None

    def _key(self, text: str, line: int) -> None:
        level = self._open[-1]
        level.step = text
        if text in level.keys:
            self._lines.repeated.append((self._path(), line))
        level.keys.add(text)
        if level.wanted and text in level.wanted:
            self._lines._keys[self._path()] = line  # noqa: SLF001 - the tree is built here, in one place

    def _value(self, line: int) -> dict[Step, Any] | None:
        """Notes the line of the starting value, if wanted; returns the wanted paths below."""
        if not self._open:
            self._lines._values[()] = line  # noqa: SLF001 - the tree is built here, in one place
            return self._wanted
        level = self._open[-1]
        if not level.mapping:
            level.step = 0 if level.step is None else int(level.step) + 1
        if level.wanted is None or level.step not in level.wanted:
            return None
        self._lines._values[self._path()] = line  # noqa: SLF001 - the tree is built here, in one place
        below: dict[Step, Any] = level.wanted[level.step]
        return below

    def _done(self) -> None:
        """A value has ended: the next scalar of a mapping is a key again."""
        if self._open and self._open[-1].mapping:
            self._open[-1].step = None
