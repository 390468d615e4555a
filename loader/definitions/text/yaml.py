"""YAML, read from libyaml's events.

PyYAML's own loaders make a node for every value first: 40 bytes of memory for a byte of YAML, and most of the time.
Those loaders also accept the last of two equal keys silently. Here the values come straight from the events: a plain
scalar has the value that PyYAML's safe loader gives, tags other than ``!!str`` are faults, and so are aliases that
would make a small text a large document.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import yaml
from yaml._yaml import CParser
from yaml.constructor import SafeConstructor
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from yaml.resolver import Resolver

from loader.definitions.text import yaml_members
from loader.definitions.text.members import Document, Members
from loader.definitions.text.tokens import (
    LONG_LISTS,
    MAX_DEPTH,
    MEMBER_DEPTH,
    Date,
    Kind,
    UnreadableError,
    printable,
    too_deep,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loader.definitions.text.members import Change
    from loader.definitions.text.tokens import Path, Token
    from loader.definitions.text.yaml_members import Mark

MAX_ALIASED = 1_000_000
"""Values that all aliases of a document together may stand for."""

_TAG = "tag:yaml.org,2002:"
_TEXT_TAGS = (None, "!", f"{_TAG}str")
_RESOLVERS = cast("dict[str, list[tuple[str, Any]]]", Resolver.yaml_implicit_resolvers)
_KINDS = {
    ScalarEvent: Kind.SCALAR,
    AliasEvent: Kind.SCALAR,
    MappingStartEvent: Kind.OPEN_MAPPING,
    SequenceStartEvent: Kind.OPEN_LIST,
    MappingEndEvent: Kind.CLOSE,
    SequenceEndEvent: Kind.CLOSE,
}


def parse(data: bytes) -> Document:
    """Reads a YAML text in valid UTF-8.

    Raises:
        UnreadableError: the text is not YAML, or uses features outside the supported part; the error names the reason.
    """
    return _Builder().document(data)


def parse_members(change: Change) -> Members | None:
    """Parses the members in the changed part of a list; their offsets count from the start of the part.

    Returns:
        None if the part alone may have another meaning: the text must be read as a whole.
    """
    column = change.place.column
    if not change.new:
        return None if change.is_whole else Members(change.place.path, [], [0], column)
    if not yaml_members.stand_alone(change, column):
        return None
    builder = _Builder(depth=MEMBER_DEPTH - 1)
    try:
        document = builder.document(change.new)
    except UnreadableError:
        return None
    lists = () if document.repeats_key else builder.lists(change.new)
    return lists[0] if lists and lists[0].column == column and lists[0].values is document.value else None


def member_start(data: bytes, bound: int) -> int:
    """The start of a member, given the member's bound: the line of the dash."""
    del data
    return bound


def member_tokens(data: bytes, column: int) -> list[Token] | None:
    """The tokens of a member, given its text.

    Returns:
        None if the text alone may have another meaning.
    """
    if not yaml_members.is_indented(data, column):
        return None
    return list(tokens(data))[1:-1]


def tokens(data: bytes) -> Iterator[Token]:
    """The tokens of a text that ``parse`` has read. An alias is a scalar: the anchored value is elsewhere."""
    for event in _events(data):
        kind = _KINDS.get(type(event))
        if kind is not None:
            yield kind, getattr(event, "value", ""), _line(event)


def _number(construct: Any, text: str) -> object:
    try:
        return construct(SafeConstructor(), yaml.ScalarNode("", text))
    except ValueError:  # thousands of digits, or '0x' and an underscore alone
        return float("nan")


# Of the tags that a plain scalar may get, '<<' and '=' are missing: both are text to most programs.
_READERS: dict[str, Callable[[str], object]] = {
    f"{_TAG}null": lambda _: None,
    f"{_TAG}bool": lambda text: SafeConstructor.bool_values[text.lower()],
    f"{_TAG}int": lambda text: _number(SafeConstructor.construct_yaml_int, text),
    f"{_TAG}float": lambda text: _number(SafeConstructor.construct_yaml_float, text),
    f"{_TAG}timestamp": lambda _: Date(),
}


def plain(text: str) -> object:
    """The value of a scalar without quotes, as in PyYAML's safe loader."""
    for tag, expression in _RESOLVERS.get(text[:1], ()):
        if expression.match(text):
            read = _READERS.get(tag)
            return text if read is None else read(text)
    return text


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _events(data: bytes) -> Iterator[Event]:
    """The events of the text, up to the end of the stream."""
    try:
        parser = CParser(data)
        while (event := parser.get_event()) is not None and not isinstance(event, StreamEndEvent):
            yield event
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        problem = f"is no valid YAML: {error.problem}"
        raise UnreadableError(problem, "correct the syntax there or just before it", line) from None
    except yaml.reader.ReaderError as error:
        line = data.count(b"\n", 0, error.position) + 1
        raise UnreadableError(f"is no valid YAML: {error.reason}", "remove that character", line) from None


class _Frame:
    """A list or mapping that is not closed yet."""

    __slots__ = ("anchor", "into", "key", "marks", "seen_before")

    def __init__(
        self,
        into: list[object] | dict[str, object],
        anchor: str | None,
        seen_before: int,
        marks: list[Mark] | None,
    ) -> None:
        self.into = into
        self.anchor = anchor
        self.key: str | None = None
        self.seen_before = seen_before
        self.marks = marks


class _Builder:
    """Makes the value of one document.

    Args:
        depth: number of levels around the text.
    """

    def __init__(self, depth: int = 0) -> None:
        self._depth = depth
        self._long: list[yaml_members.Run] = []
        self._ended: yaml_members.Run | None = None
        self._is_plain = True  # without what reaches from one place of the text to another: anchors, aliases and tags
        self._open: list[_Frame] = []
        self._top: object = None
        self._documents = 0
        self._repeats_key = False
        self._keys: dict[str, str] = {}  # one object for all occurrences of a key
        self._anchors: dict[str, tuple[object, int]] = {}  # value, and the number of values inside
        self._seen = 0  # values so far, those behind aliases included
        self._aliased = 0

    def document(self, data: bytes) -> Document:
        """Reads the only document of the text."""
        for event in _events(data):
            kind = type(event)
            if self._ended is not None and kind in _KINDS and _KINDS[kind] is not Kind.CLOSE:
                self._ended.end = event.start_mark
                self._ended = None
            if kind is ScalarEvent:
                self._scalar(event)
            elif kind is MappingStartEvent:
                self._start(event, {})
            elif kind is SequenceStartEvent:
                self._start(event, [])
            elif kind in (MappingEndEvent, SequenceEndEvent):
                self._end()
            elif kind is AliasEvent:
                self._alias(event)
            elif kind is DocumentStartEvent:
                self._documents += 1
                if self._documents > 1:
                    raise UnreadableError(
                        "holds more than one YAML document", "put each in a file of its own", _line(event)
                    )
        return Document(self._top, self._repeats_key, () if self._depth or self._repeats_key else self.lists(data))

    def lists(self, data: bytes) -> tuple[Members, ...]:
        """The long lists of the text that was read whose members are known to mean the same by themselves."""
        return yaml_members.members(data, self._long) if self._is_plain else ()

    def _scalar(self, event: Any) -> None:
        tag = event.tag
        if tag is not None:
            self._is_plain = False
        if tag not in _TEXT_TAGS:
            raise UnreadableError(f"the tag '{printable(tag)}' is not read here", "remove it", _line(event))
        frame = self._open[-1] if self._open else None
        if frame is not None and frame.key is None and type(frame.into) is dict:
            frame.key = self._keys.setdefault(event.value, event.value)
            self._remember(event.anchor, event.value, self._seen)
            return
        value = plain(event.value) if tag is None and event.implicit[0] else event.value
        self._add(value, event)
        self._remember(event.anchor, value, self._seen - 1)

    def _start(self, event: Any, into: list[object] | dict[str, object]) -> None:
        if event.tag is not None:
            raise UnreadableError(f"the tag '{printable(event.tag)}' is not read here", "remove it", _line(event))
        if len(self._open) + self._depth == MAX_DEPTH:
            raise too_deep(_line(event))
        marks = self._marks(event, into) if isinstance(into, list) and not event.flow_style else None
        self._add(into, event)
        self._open.append(_Frame(into, event.anchor, self._seen - 1, marks))

    def _marks(self, event: Any, into: list[object]) -> list[Mark] | None:
        """The list that receives the members' starts, for a long list."""
        if len(self._open) + self._depth != MEMBER_DEPTH - 1:
            return None
        path: Path = ()
        if not self._depth:
            document, tenants, _ = (frame.into for frame in self._open)
            key = self._open[-1].key
            if key not in LONG_LISTS or not isinstance(document, dict) or not isinstance(tenants, list):
                return None
            if document.get("tenants") is not tenants:
                return None
            path = ("tenants", len(tenants) - 1, key)
        run = yaml_members.Run(path, into, event.start_mark.column)
        self._long.append(run)
        return run.marks

    def _end(self) -> None:
        frame = self._open.pop()
        self._remember(frame.anchor, frame.into, frame.seen_before)
        if frame.marks is not None:
            self._ended = self._long[-1]  # not within each other

    def _alias(self, event: Any) -> None:
        self._is_plain = False
        known = self._anchors.get(event.anchor)
        if known is None:
            shown = printable(event.anchor)
            problem = (
                f"'*{shown}' without quotes stands for a value marked '&{shown}' before it, and none is complete there"
            )
            raise UnreadableError(problem, f'put quotes round it, as in "*{shown}"', _line(event))
        value, size = known
        self._aliased += size
        if self._aliased > MAX_ALIASED:
            problem = f"its aliases stand for more than {MAX_ALIASED:,} values"
            raise UnreadableError(problem, "write the values, or split the file", _line(event))
        self._seen += size - 1
        self._add(value, event)

    def _add(self, value: object, event: Any) -> None:
        """Adds a value to the mapping under the waiting key, or to the end of the list."""
        self._seen += 1
        if not self._open:
            self._top = value
            return
        frame = self._open[-1]
        if isinstance(frame.into, list):
            frame.into.append(value)
            if frame.marks is not None:
                frame.marks.append(event.start_mark)
        elif frame.key is None:
            raise UnreadableError("a key is no text", "write the key as a word", _line(event))
        else:
            self._repeats_key = self._repeats_key or frame.key in frame.into
            frame.into[frame.key] = value
            frame.key = None

    def _remember(self, anchor: str | None, value: object, seen_before: int) -> None:
        if anchor is not None:
            self._is_plain = False
            self._anchors[anchor] = (value, self._seen - seen_before)
