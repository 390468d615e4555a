"""A text that is followed through edits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loader.definitions.following.edit import follow
from loader.definitions.following.places import Places
from loader.definitions.text import json as json_text
from loader.definitions.text import yaml as yaml_text
from loader.definitions.text.members import Document
from loader.definitions.text.tokens import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

    from loader.definitions.text.locate import Lines
    from loader.definitions.text.tokens import Path

_BOM = b"\xef\xbb\xbf"
_START = "write 'tenants:' and below it the tenants, as docs/definitions.md shows"


class HeldText:
    """The last readable state of a text, and the document parsed from that state.

    Args:
        file: the file's name; the ending tells YAML from JSON.
    """

    def __init__(self, file: str) -> None:
        self._reader: ModuleType = json_text if file.lower().endswith(".json") else yaml_text
        self._places = Places(self._reader)
        self._data = b""
        self._document = Document(None, repeats_key=False)

    def follow(self, data: bytes) -> Document | None:
        """The document of the new text, if parsing the changed parts of long lists suffices.

        The document object stays the same, with new members in the lists; unchanged members stay the same objects.
        None: ``read`` has to be called.
        """
        data = data.removeprefix(_BOM)
        before, document = self._data, self._document
        self._data, self._document = b"", Document(None, repeats_key=False)  # an interruption leaves nothing
        followed = bool(document.lists) and follow(before, data, document.lists, self._reader.parse_members)
        self._data, self._document = data if followed else before, document
        return document if followed else None

    def read(self, data: bytes) -> Document:
        """The document, read as a whole.

        Raises:
            UnreadableError: the text is unreadable; the state is unchanged.
        """
        data = data.removeprefix(_BOM)
        document = _parse(data, self._reader)
        self._data, self._document = data, document
        return document

    def lines(self, paths: Iterable[Path]) -> Lines:
        """The lines of values.

        Raises:
            UnreadableError: the text is too deep.
        """
        return self._places.lines(self._data, self._document, paths)


def _parse(data: bytes, reader: ModuleType) -> Document:
    try:
        blank = not data.decode().strip()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnreadableError("holds bytes that are no UTF-8", "save the file as UTF-8", line) from None
    document = Document(None, repeats_key=False)
    if not blank:
        document = reader.parse(data)
    if document.value is None:
        raise UnreadableError("holds no definitions", f"{_START}; 'tenants: []' says that there are none")
    # A file without that key is not quoted, not even the keys: the file may be linked here by mistake.
    if not isinstance(document.value, dict) or "tenants" not in document.value:
        raise UnreadableError("is no mapping with the key 'tenants'", _START, 1)
    return document
