"""A hash table within a blob: from a key to two numbers, with nothing to build before the first look-up.

Open addressing, linear probing, at most three fifths full. The section starts with four words (slots that keys hash
to, bytes of a key, keys, how keys are hashed); a slot is a key, padded with zeros to a multiple of four bytes, and two
words. Probing does not wrap around: keys that the last slots push out stand in slots behind those, and the last slot of
all is empty, so that every search ends.

Keys that all fill their slots, such as UUIDs, are hashed by a part: eight bytes of the key are the hash, unchanged,
since in a UUID the last bytes, or else the first, differ as a hash's do. Taking the part needs half the time of a
checksum. The head says where those eight bytes start. Where keys would crowd, and for all other keys, the hash is
CRC-32 of the whole key. Keys are the customer's own, so colliding keys slow down their own tenant only.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, TypeAlias
from zlib import crc32

from pdp.rules.errors import SnapshotCorrupt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pdp.rules.snapshot.blob import Blob

_HEAD = struct.Struct("<IIII")
HASHED_BY_CHECKSUM = 2**32 - 1
"""Value of ``part`` in the head for keys that are hashed by CRC-32."""
_PART = 8
"""The size in bytes of the part of a key that is its hash."""
Hash: TypeAlias = "Callable[[bytes], tuple[int]]"
_CROWD = 256
"""Slots that a key may lie behind the slot of its hash, before another hash is tried."""
_NUMBERS = struct.Struct("<II")
_WORD = 4
MISSING = -1


class KeyTable:
    """A table in a blob.

    Args:
        blob: the whole blob; a slice is ``bytes``.
        section: the table's part of the blob.
        start: where in the blob the section starts.

    Attributes:
        words: the section, as words of 32 bits.
        blob, origin, first: the blob, and where in the blob the section and the first slot start.
        slots, slot_size, width: the number of slots that keys hash to, the bytes of a slot, and of the key in a slot.
        part: where the eight bytes that are a key's hash start, or HASHED_BY_CHECKSUM.
        hashed: a function from a key to a tuple of one, its hash; raises struct.error, if at all, for a key whose
            length is not ``width``: such a key is not in the table.
    """

    __slots__ = (
        "_count",
        "_empty",
        "_end",
        "blob",
        "first",
        "hashed",
        "origin",
        "part",
        "slot_size",
        "slots",
        "width",
        "words",
    )

    def __init__(self, blob: Blob, section: memoryview, start: int) -> None:
        if len(section) < _HEAD.size:
            raise SnapshotCorrupt("a key table has no head")
        head: tuple[int, int, int, int] = _HEAD.unpack_from(section)
        self.slots, self.width, self._count, self.part = head
        self.slot_size = self.width + _NUMBERS.size
        size = len(section) - _HEAD.size
        if self.part != HASHED_BY_CHECKSUM and self.part + _PART > self.width:
            raise SnapshotCorrupt("a key table hashes what its keys do not have")
        if not self.slots or not self.width or self.width % _WORD:
            raise SnapshotCorrupt("a key table has no slots")
        if size % self.slot_size or size <= self.slots * self.slot_size:
            raise SnapshotCorrupt("a key table has another size than its head says")
        if any(section[-self.slot_size :]):
            raise SnapshotCorrupt("a key table has no end")
        self.hashed = _hash_of(self.width, self.part)
        self.blob = blob
        self.words = section.cast("I")
        self.origin = start
        self.first = start + _HEAD.size
        self._end = start + len(section)
        self._empty = bytes(self.width)

    def __len__(self) -> int:
        """The number of keys."""
        return self._count

    def find(self, key: bytes) -> int:
        """The index in ``words`` of the key's first number, which the second follows; MISSING: there is no such key."""
        width = self.width
        if not key or not key[-1] or len(key) > width:
            return MISSING
        try:
            (hashed,) = self.hashed(key)
        except struct.error:
            return MISSING
        at = self.first + hashed % self.slots * self.slot_size
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


def find_user(users: KeyTable, caller: str) -> int:
    """The index of a UUID, in either case, in the table of users, or MISSING; the keys are in lower case."""
    at = users.find(caller.encode("ascii", "replace"))
    return at if at != MISSING else users.find(caller.lower().encode("ascii", "replace"))


def find_text(table: KeyTable, text: str) -> int:
    """The index of a text in a table of outcalls or aliases, or MISSING."""
    return table.find(text.encode("utf-8", "surrogatepass"))


def _hash_of(width: int, part: int) -> Hash:
    """The hash function that a head names; ``part`` is where in a key of ``width`` bytes the hash is."""
    if part == HASHED_BY_CHECKSUM:
        return lambda key: (crc32(key),)
    hashed: Hash = struct.Struct(f"<{part}xQ{width - part - _PART}x").unpack
    return hashed


class TableBuilder:
    """The section of a table, kept up to date key by key.

    Args:
        width: the least number of bytes of a slot's key; grows with the longest key. Keys are hashed by a part as long
            as every key has this length.
    """

    def __init__(self, width: int = _WORD) -> None:
        self._slots = 1
        self._count = 0
        parts = (width - _PART, 0) if width >= _PART and width % _WORD == 0 else ()
        self._shape(width, (*parts, HASHED_BY_CHECKSUM))
        self._table = bytearray(2 * self._size)

    def reserve(self, keys: int) -> None:
        """Makes room for that many keys at once, which is quicker than growing with each."""
        if keys * 5 > self._slots * 3:
            self._rebuild(keys * 2 + 1, self._width, self._parts)

    def set(self, key: bytes, first: int, second: int) -> None:
        """Sets the two 32-bit numbers of a key, which is not empty and holds no zero byte."""
        if not self._fits(key):
            self._rebuild(self._slots, max(len(key), self._width), (HASHED_BY_CHECKSUM,))
        at, found = self._seek(key)
        if not found:
            if (self._count + 1) * 5 > self._slots * 3:
                self._rebuild(self._slots * 2 + 1, self._width, self._parts)
            while not self._insert(key):
                self._rebuild(self._slots, self._width, self._parts[1:])
            self._count += 1
            at, _ = self._seek(key)
        _NUMBERS.pack_into(self._table, at + self._width, first, second)

    def remove(self, key: bytes) -> None:
        """Removes a key, if the table has the key."""
        hole, found = self._seek(key) if self._fits(key) else (0, False)
        if not found:
            return
        self._count -= 1
        table, size = self._table, self._size
        at = hole + size
        while table[at]:
            # A key that was pushed behind the hole moves into the hole, or a search for that key would end there.
            if self._home(bytes(table[at : at + self._width]).rstrip(b"\0")) <= hole:
                table[hole : hole + size] = table[at : at + size]
                hole = at
            at += size
        table[hole : hole + size] = bytes(size)

    def section(self) -> bytes:
        """The current section."""
        return _HEAD.pack(self._slots, self._width, self._count, self._parts[0]) + self._table

    def __len__(self) -> int:
        """The number of keys."""
        return self._count

    def _shape(self, width: int, parts: tuple[int, ...]) -> None:
        """Sets the width of keys, and the remaining ways to hash keys, the one in use first."""
        self._width = width + -width % _WORD
        self._size = self._width + _NUMBERS.size
        self._parts = parts
        self._hash = _hash_of(self._width, parts[0])

    def _fits(self, key: bytes) -> bool:
        return len(key) == self._width or (len(key) < self._width and self._parts[0] == HASHED_BY_CHECKSUM)

    def _home(self, key: bytes) -> int:
        return self._hash(key)[0] % self._slots * self._size

    def _seek(self, key: bytes) -> tuple[int, bool]:
        """The slot of a key that fits, or else the slot for inserting the key; and whether the key is there."""
        table, width, size = self._table, self._width, self._size
        padded = key.ljust(width, b"\0")
        at = self._home(key)
        while table[at]:
            if table[at : at + width] == padded:
                return at, True
            at += size
        return at, False

    def _insert(self, key: bytes) -> bool:
        """Inserts a new key, and keeps a slot empty at the end; False, and nothing written, in a crowd."""
        at, _ = self._seek(key)
        if len(self._parts) > 1 and at - self._home(key) > _CROWD * self._size:
            return False
        self._table[at : at + len(key)] = key
        if at + self._size == len(self._table):
            self._table += bytes(self._size)
        return True

    def _rebuild(self, slots: int, width: int, parts: tuple[int, ...]) -> None:
        """Builds the table anew, with the first of these ways to hash by which keys do not crowd."""
        old, old_width, old_size = self._table, self._width, self._size
        self._slots = slots
        self._shape(width, parts)
        self._table = bytearray((slots + 1) * self._size)
        for start in range(0, len(old), old_size):
            if not old[start]:
                continue
            key = bytes(old[start : start + old_width]).rstrip(b"\0")
            if not self._insert(key):
                self._table, self._width, self._size = old, old_width, old_size
                return self._rebuild(slots, width, parts[1:])
            at, _ = self._seek(key)
            self._table[at + self._width : at + self._size] = old[start + old_width : start + old_size]
        return None
