"""JSON read from the outside in, which gives the place of each member of a long list.

The lists and mappings around the long lists are taken apart here; everything else is read by Python's own reader. An
unexpected text is no fault here: ``json_text`` reads the text again as a whole, and names the fault.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from loader.definitions.text.members import Members, in_bytes
from loader.definitions.text.tokens import LONG_LISTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from loader.definitions.text.tokens import Path

_BLANK = re.compile(r"[ \t\n\r]*")
_COLON = re.compile(r"[ \t\n\r]*:[ \t\n\r]*")
_COMMA = re.compile(r"[ \t\n\r]*,[ \t\n\r]*")
_CLOSE = {"{": re.compile(r"[ \t\n\r]*\}"), "[": re.compile(r"[ \t\n\r]*\]")}
_KEYS = {
    key: key
    for key in (
        *("uuid", "call_permission_password", "id", "name", "enabled", "users"),
        *("mode", "password", "extensions", "groups", "outcalls"),
    )
}
"""One object for all occurrences of a key."""


class UnexpectedError(ValueError):
    """The text is no JSON, or none that is read here."""


def _mapping(pairs: list[tuple[str, object]]) -> dict[str, object]:
    out = {_KEYS.get(key, key): value for key, value in pairs}
    if len(out) != len(pairs):
        raise UnexpectedError
    return out


_READ = json.JSONDecoder(object_pairs_hook=_mapping).raw_decode


def read_document(text: str) -> tuple[dict[str, object], tuple[Members, ...]]:
    """The value of a whole text, and the long lists.

    Raises:
        ValueError: the text is not JSON, not a mapping, or has a key twice in a mapping.
        RecursionError: the text is too deep.
    """
    walk = _Walk(text)
    value, at = walk.mapping(_past(_BLANK, text, 0), walk.top)
    if _past(_BLANK, text, at) != len(text):
        raise UnexpectedError
    bounds = in_bytes(text, (bound for members in walk.lists for bound in members.bounds))
    for members in walk.lists:
        members.bounds = type(members.bounds)("Q", [next(bounds) for _ in members.bounds])
    return value, tuple(walk.lists)


def read_members(text: str, *, first: bool) -> tuple[list[object], list[int]]:
    """Members in the middle of a list, and the end of each.

    Args:
        text: from the end of the member before, or from behind the bracket.
        first: whether no member precedes; otherwise the text begins with a comma, or is blank.

    Raises:
        ValueError: the text holds something else.
        RecursionError: the text is too deep.
    """
    values: list[object] = []
    ends: list[int] = []
    at = 0
    while _past(_BLANK, text, at) != len(text):
        at = _past(_BLANK if first and not values else _COMMA, text, at)
        value, at = _READ(text, at)
        values.append(value)
        ends.append(at)
    return values, ends


class _Walk:
    """One walk over the outer lists and mappings of a text. Places are in characters."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tenant: Path = ()
        self.lists: list[Members] = []

    def mapping(self, at: int, read: Callable[[str, int], tuple[object, int]]) -> tuple[dict[str, object], int]:
        """The mapping that begins at an offset, and the mapping's end, given the reader for the value of a key."""
        out: dict[str, object] = {}
        at = self._opened(at, "{")
        while (end := self._closed(at, "{")) is None:
            at = _past(_COMMA if out else _BLANK, self._text, at)
            key, at = _READ(self._text, at)
            if not isinstance(key, str) or key in out:
                raise UnexpectedError
            out[key], at = read(key, _past(_COLON, self._text, at))
        return out, end

    def top(self, key: str, at: int) -> tuple[object, int]:
        """The value of one of the document's keys."""
        if key != "tenants" or not self._text.startswith("[", at):
            return _READ(self._text, at)
        tenants: list[object] = []
        at = self._opened(at, "[")
        while (end := self._closed(at, "[")) is None:
            at = _past(_COMMA if tenants else _BLANK, self._text, at)
            self._tenant = ("tenants", len(tenants))
            is_mapping = self._text.startswith("{", at)
            tenant, at = self.mapping(at, self._of_tenant) if is_mapping else _READ(self._text, at)
            tenants.append(tenant)
        return tenants, end

    def _of_tenant(self, key: str, at: int) -> tuple[object, int]:
        if key not in LONG_LISTS or not self._text.startswith("[", at):
            return _READ(self._text, at)
        return self._long_list(key, at)

    def _long_list(self, key: str, at: int) -> tuple[object, int]:
        text = self._text
        values: list[object] = []
        at = self._opened(at, "[")
        bounds = [at]
        end = self._closed(at, "[")
        separator = _BLANK
        while end is None:
            value, at = _READ(text, _past(separator, text, at))
            values.append(value)
            bounds.append(at)
            separator = _COMMA
            if not text.startswith(",", at):
                end = self._closed(at, "[")
        self.lists.append(Members((*self._tenant, key), values, bounds))
        return values, end

    def _opened(self, at: int, bracket: str) -> int:
        if not self._text.startswith(bracket, at):
            raise UnexpectedError
        return at + 1

    def _closed(self, at: int, bracket: str) -> int | None:
        closed = _CLOSE[bracket].match(self._text, at)
        return closed.end() if closed else None


def _past(what: re.Pattern[str], text: str, at: int) -> int:
    found = what.match(text, at)
    if found is None:
        raise UnexpectedError
    return found.end()
