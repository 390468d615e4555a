"""A hash table that lies in a blob: from a key to two numbers, with nothing to build before the first look-up.

Open addressing, linear probing, at most two thirds full. The section starts with three words (slots, bytes of a key, keys)
and one of padding; a slot is a key, padded with zeros to a multiple of four bytes, and two words. The hash is CRC-32, which
the standard library computes in native code; keys are the customer's own, so collisions can only slow down whoever made
them.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING
from zlib import crc32

from pdp.rules.errors import SnapshotCorrupt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pdp.rules.blob import Blob

_HEAD = struct.Struct("<IIII")
MISSING = -1


def build_table(entries: Sequence[tuple[bytes, int, int]], *, width: int = 4) -> bytes:
    """The section for these keys, which are distinct, not empty and hold no zero byte, with two 32-bit numbers each.

    Args:
        entries: key and numbers.
        width: bytes that a slot has for a key at the least, a multiple of four.
    """
    width = max(width, max((len(key) for key, _, _ in entries), default=0))
    width += -width % 4
    slots = len(entries) * 3 // 2 + 1
    size = width + 8
    table = bytearray(slots * size)
    pack = struct.Struct(f"<{width}sII").pack_into
    for key, first, second in entries:
        at = crc32(key) % slots * size
        while table[at]:
            at += size
            if at == len(table):
                at = 0
        pack(table, at, key, first, second)
    return _HEAD.pack(slots, width, len(entries), 0) + bytes(table)


class KeyTable:
    """A table in a blob.

    Args:
        blob: the whole blob; a slice of it is bytes.
        section: the table's part of it.
        start: where in the blob the section starts.

    Attributes:
        words: the section, as words of 32 bits.
        blob, origin, first, end: the blob, and where in it the section, the first slot and what follows the last start.
        slots, slot_size, width: how many slots, the bytes of one, and of the key in one.
    """

    __slots__ = ("_count", "_empty", "blob", "end", "first", "origin", "slot_size", "slots", "width", "words")

    def __init__(self, blob: Blob, section: memoryview, start: int) -> None:
        if len(section) < _HEAD.size:
            raise SnapshotCorrupt("a key table has no head")
        self.slots, self.width, self._count, _ = _HEAD.unpack_from(section)
        self.slot_size = self.width + 8
        if len(section) != _HEAD.size + self.slots * self.slot_size or not self.slots or self.width % 4:
            raise SnapshotCorrupt("a key table has another size than its head says")
        self.blob = blob
        self.words = section.cast("I")
        self.origin = start
        self.first = start + _HEAD.size
        self.end = start + len(section)
        self._empty = bytes(self.width)

    def __len__(self) -> int:
        """How many keys there are."""
        return self._count

    def find(self, key: bytes) -> int:
        """Where in ``words`` the first of the key's numbers is; the second follows it. MISSING: there is no such key."""
        width = self.width
        if not key or not key[-1] or len(key) > width:
            return MISSING
        at = self.first + crc32(key) % self.slots * self.slot_size
        if len(key) < width:
            key = key.ljust(width, b"\0")
        blob, empty = self.blob, self._empty
        while True:
            found = blob[at : at + width]
            if found == key:
                return (at + width - self.origin) >> 2
            if found == empty:
                return MISSING
            at += self.slot_size
            if at == self.end:
                at = self.first

    def get(self, key: bytes, default: int) -> int:
        """The first of the key's numbers, or ``default``."""
        at = self.find(key)
        return default if at == MISSING else self.words[at]

    def __iter__(self) -> Iterator[bytes]:
        """The keys, in no order."""
        for at in range(self.first, self.end, self.slot_size):
            key = self.blob[at : at + self.width].rstrip(b"\0")
            if key:
                yield key
