"""JSON as Python's reader takes it, and its tokens with their lines."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from loader.definitions.text import Document, Kind, UnreadableError, too_deep

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loader.definitions.text import Token

_TOKEN = re.compile(r'([\[{])|([\]}])|("[^"\\]*(?:\\.[^"\\]*)*")|([^\s\[\]{}:,"]+)')


def parse(data: bytes) -> Document:
    """Reads a JSON text, which is known to be UTF-8.

    Raises:
        UnreadableError: it is no JSON.
    """
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
