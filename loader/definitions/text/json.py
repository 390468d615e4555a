"""JSON as Python's reader accepts the format, and the tokens with their lines."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from loader.definitions.text.json_walk import read_document, read_members
from loader.definitions.text.members import Document, Members, in_bytes
from loader.definitions.text.tokens import Kind, UnreadableError, too_deep

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loader.definitions.text.members import Change
    from loader.definitions.text.tokens import Token

_SEPARATOR = re.compile(rb"[ \t\n\r,]*")
_TOKEN = re.compile(r'([\[{])|([\]}])|("[^"\\]*(?:\\.[^"\\]*)*")|([^\s\[\]{}:,"]+)')


def parse(data: bytes) -> Document:
    """Reads a JSON text in valid UTF-8.

    Raises:
        UnreadableError: the text is not JSON.
    """
    try:
        value, lists = read_document(data.decode())
    except (ValueError, RecursionError):
        return _parse_whole(data)
    return Document(value, repeats_key=False, lists=lists)


def parse_members(change: Change) -> Members | None:
    """Parses the members in the changed part of a list; their offsets count from the start of the part.

    The text around the part is unchanged, and so is its meaning. The part must hold members and their commas, nothing
    else.

    Returns:
        None for anything else in the part: the text must be read as a whole.
    """
    try:
        text = change.new.decode()
        values, ends = read_members(text, first=change.first == 0)
    except (ValueError, RecursionError):
        return None
    if not values and change.first == 0 and not change.is_whole:
        return None  # the next member still has a comma
    return Members(change.place.path, values, [0, *in_bytes(text, ends)])


def _parse_whole(data: bytes) -> Document:
    repeats_key = False

    def mapping(pairs: list[tuple[str, object]]) -> dict[str, object]:
        nonlocal repeats_key
        out = dict(pairs)
        repeats_key = repeats_key or len(out) != len(pairs)
        return out

    try:
        value = json.loads(data, object_pairs_hook=mapping)
    except json.JSONDecodeError as error:
        problem = f"is no valid JSON: {error.msg[:1].lower()}{error.msg[1:]} at character {error.colno} of the line"
        raise UnreadableError(problem, "correct the syntax there or just before it", error.lineno) from None
    except RecursionError:
        raise too_deep(None) from None
    except ValueError:  # what int() says to more digits than sys.get_int_max_str_digits
        raise UnreadableError("a number has thousands of digits", "write a shorter one") from None
    return Document(value, repeats_key)


def member_start(data: bytes, bound: int) -> int:
    """The start of a member, given the member's bound: behind the comma and all blanks."""
    found = _SEPARATOR.match(data, bound)
    return bound if found is None else found.end()


def member_tokens(data: bytes, column: int) -> list[Token] | None:
    """The tokens of a member, given its text."""
    del column
    return list(tokens(data))


def tokens(data: bytes) -> Iterator[Token]:
    """The tokens of a text that ``parse`` has read."""
    text = data.decode()
    line = 1
    at = 0
    for match in _TOKEN.finditer(text):
        line += text.count("\n", at, match.start())
        at = match.start()
        opening, closing, string, _ = match.groups()
        if opening:
            yield Kind.OPEN_MAPPING if opening == "{" else Kind.OPEN_LIST, "", line
        elif closing:
            yield Kind.CLOSE, "", line
        else:
            yield Kind.SCALAR, _unescaped(string) if string else "", line


def _unescaped(string: str) -> str:
    return str(json.loads(string)) if "\\" in string else string[1:-1]
