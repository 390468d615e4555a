"""A hash table that lies in a blob: from a key to two numbers, with nothing to build before the first look-up.

Open addressing, linear probing, at most three quarters full. The section starts with three words (slots that keys hash
to, bytes of a key, keys) and one of padding; a slot is a key, padded with zeros to a multiple of four bytes, and two
words. Probing does not wrap around: what the last slots push out stands in slots behind them, and the last of all is
empty, so that every search ends. The hash is CRC-32, which the standard library computes in native code; keys are the
customer's own, so collisions can only slow down whoever made them.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING
from zlib import crc32

from pdp.rules.errors import SnapshotCorrupt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pdp.rules.blob import Blob

_HEAD = struct.Struct("<IIII")
_NUMBERS = struct.Struct("<II")
_WORD = 4
MISSING = -1


class KeyTable:
    """A table in a blob.

    Args:
        blob: the whole blob; a slice of it is bytes.
        section: the table's part of it.
        start: where in the blob the section starts.

    Attributes:
        words: the section, as words of 32 bits.
        blob, origin, first: the blob, and where in it the section and the first slot start.
        slots, slot_size, width: how many slots keys hash to, the bytes of one, and of the key in one.
    """

    __slots__ = ("_count", "_empty", "_end", "blob", "first", "origin", "slot_size", "slots", "width", "words")

    def __init__(self, blob: Blob, section: memoryview, start: int) -> None:
        if len(section) < _HEAD.size:
            raise SnapshotCorrupt("a key table has no head")
        head: tuple[int, int, int, int] = _HEAD.unpack_from(section)
        self.slots, self.width, self._count, _ = head
        self.slot_size = self.width + _NUMBERS.size
        size = len(section) - _HEAD.size
        if not self.slots or not self.width or self.width % _WORD:
            raise SnapshotCorrupt("a key table has no slots")
        if size % self.slot_size or size <= self.slots * self.slot_size:
            raise SnapshotCorrupt("a key table has another size than its head says")
        if any(section[-self.slot_size :]):
            raise SnapshotCorrupt("a key table has no end")
        self.blob = blob
        self.words = section.cast("I")
        self.origin = start
        self.first = start + _HEAD.size
        self._end = start + len(section)
        self._empty = bytes(self.width)

    def __len__(self) -> int:
        """How many keys there are."""
        return self._count

    def find(self, key: bytes) -> int:
        """Where in ``words`` the first of the key's numbers is, before the second; MISSING: there is no such key."""
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

    def get(self, key: bytes, default: int) -> int:
        """The first of the key's numbers, or ``default``."""
        at = self.find(key)
        return default if at == MISSING else self.words[at]

    def __iter__(self) -> Iterator[bytes]:
        """The keys, in no order."""
        return (key for key, _ in self.items())

    def items(self) -> Iterator[tuple[bytes, int]]:
        """The keys, each with the first of its numbers; in no order."""
        for at in range(self.first, self._end, self.slot_size):
            key = self.blob[at : at + self.width].rstrip(b"\0")
            if key:
                yield key, self.words[(at + self.width - self.origin) >> 2]


class TableBuilder:
    """The section of a table, kept up to date key by key.

    Args:
        width: bytes that a slot has for a key at the least; it grows with the longest key.
    """

    def __init__(self, width: int = _WORD) -> None:
        self._width = width + -width % _WORD
        self._slots = 1
        self._count = 0
        self._table = bytearray(2 * (self._width + _NUMBERS.size))

    def reserve(self, keys: int) -> None:
        """Makes room for that many keys at once, which is quicker than growing with each."""
        if keys * 4 > self._slots * 3:
            self._rebuild(keys * 3 // 2 + 1, self._width)

    def set(self, key: bytes, first: int, second: int) -> None:
        """Gives a key its two 32-bit numbers; keys are not empty and hold no zero byte."""
        if len(key) > self._width:
            self._rebuild(self._slots, len(key))
        at, found = self._seek(key)
        if not found:
            if (self._count + 1) * 4 > self._slots * 3:
                self._rebuild(self._slots * 2 + 1, self._width)
                at, _ = self._seek(key)
            self._count += 1
            self._insert(at, key)
        _NUMBERS.pack_into(self._table, at + self._width, first, second)

    def remove(self, key: bytes) -> None:
        """Takes a key out; nothing happens where there is no such key."""
        hole, found = self._seek(key)
        if not found:
            return
        self._count -= 1
        table, size = self._table, self._width + _NUMBERS.size
        at = hole + size
        while table[at]:
            # What was pushed behind the hole moves into it, or a search for it would end there.
            if self._home(bytes(table[at : at + self._width]).rstrip(b"\0")) <= hole:
                table[hole : hole + size] = table[at : at + size]
                hole = at
            at += size
        table[hole : hole + size] = bytes(size)

    def section(self) -> bytes:
        """The section as it is now."""
        return _HEAD.pack(self._slots, self._width, self._count, 0) + self._table

    def __len__(self) -> int:
        """How many keys there are."""
        return self._count

    def _home(self, key: bytes) -> int:
        return crc32(key) % self._slots * (self._width + _NUMBERS.size)

    def _seek(self, key: bytes) -> tuple[int, bool]:
        """Where a key is, or else the slot where it would go; and which of the two."""
        table, width, size = self._table, self._width, self._width + _NUMBERS.size
        padded = key.ljust(width, b"\0")
        at = self._home(key)
        while table[at]:
            if table[at : at + width] == padded:
                return at, True
            at += size
        return at, False

    def _insert(self, at: int, key: bytes) -> None:
        """Writes a key into an empty slot, and keeps an empty one at the end."""
        size = self._width + _NUMBERS.size
        self._table[at : at + len(key)] = key
        if at + size == len(self._table):
            self._table += bytes(size)

    def _rebuild(self, slots: int, width: int) -> None:
        old, old_width, old_size = self._table, self._width, self._width + _NUMBERS.size
        self._slots, self._width = slots, width + -width % _WORD
        self._table = bytearray((slots + 1) * (self._width + _NUMBERS.size))
        for start in range(0, len(old), old_size):
            if old[start]:
                key = bytes(old[start : start + old_width]).rstrip(b"\0")
                at, _ = self._seek(key)
                self._insert(at, key)
                _NUMBERS.pack_into(self._table, at + self._width, *_NUMBERS.unpack_from(old, start + old_width))
