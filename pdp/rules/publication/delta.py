"""Deltas: the changes that make one blob of a tenant out of an earlier one.

An edit changes a few ranges of a blob (see ``encode``), so a delta ships those, and the rest is copied:

    offset  size
         0     8  magic
         8     4  format version
        12     4  number of steps
        16     8  number of the base's revision
        24     8  bytes of the base
        32     8  bytes of the result
        40    32  checksum of the base, from its header
        72    32  SHA-256 of all of the delta but these 32 bytes
       104  24·n  steps: where in the base to copy from, how many bytes, and how many new bytes follow
         …        the new bytes, end to end

All numbers are little-endian and unsigned. Copied ranges lie in the base in the order of the result, each byte at most
once, so no delta makes more than base and delta together have. A delta is not signed: the result is, and is verified
like any other blob. The loader has Redis apply the delta as well (see ``loader.publishing.shipping``).
"""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING, NamedTuple

from pdp.rules.errors import SnapshotCorrupt, SnapshotForeign, SnapshotTruncated
from pdp.rules.snapshot.blob import PIECE, checksum, regions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pdp.rules.snapshot.blob import Blob

MAGIC = b"RIGHTDLT"
FORMAT_VERSION = 1
WORTHWHILE = 1 << 16
"""Bytes of a blob below which a delta is not worth the work."""

_HEADER = struct.Struct("<8sIIQQQ32s32s")
_STEP = struct.Struct("<QQQ")
_OWN_CHECKSUM = slice(72, 104)
_BLOCKS = (1 << 16, 1 << 11, 1 << 6)
"""Bytes that are compared at once: blocks that differ are compared again in blocks of the next size."""


def make_delta(base: bytes, result: bytes, base_number: int) -> bytes | None:
    """The delta between two blobs.

    Args:
        base: the blob that the delta starts from, whole and of this format.
        result: the blob that the delta leads to, whole and of this format.
        base_number: the number of the base's revision.

    Returns:
        The delta; None if more than half of the result is new, or the result is small.
    """
    if len(result) < WORTHWHILE:
        return None
    steps = _steps(base, result)
    if sum(len(new) for _, _, parts in steps for new in parts) > len(result) // 2:
        return None
    table = b"".join(_STEP.pack(start, length, sum(map(len, parts))) for start, length, parts in steps)
    new = b"".join(part for _, _, parts in steps for part in parts)
    fields = (MAGIC, FORMAT_VERSION, len(steps), base_number, len(base), len(result), checksum(base))
    head = _HEADER.pack(*fields, bytes(32))[: _OWN_CHECKSUM.start]
    return head + hashlib.sha256(head + table + new).digest() + table + new


class Delta(NamedTuple):
    """A delta that was read.

    Attributes:
        base_number: the number of the base's revision.
        base_size: bytes of the base.
        base_checksum: the checksum in the base's header.
        size: bytes of the result.
        steps: where in the base to copy from, how many bytes, and the new bytes that follow.
    """

    base_number: int
    base_size: int
    base_checksum: bytes
    size: int
    steps: tuple[tuple[int, int, memoryview], ...]

    @classmethod
    def load(cls, raw: bytes) -> Delta:
        """Reads a delta.

        Raises:
            SnapshotError: the bytes are no whole, undamaged delta of this format.
        """
        if len(raw) < _HEADER.size:
            raise SnapshotTruncated(_HEADER.size, len(raw))
        magic, version, count, number, base_size, size, base, own = _HEADER.unpack_from(raw)
        if magic != MAGIC:
            raise SnapshotForeign("delta's magic", MAGIC, magic)
        if version != FORMAT_VERSION:
            raise SnapshotForeign("delta's format version", FORMAT_VERSION, version)
        view, at = memoryview(raw), _HEADER.size + _STEP.size * count
        if at > len(raw):
            raise SnapshotTruncated(at, len(raw))
        if hashlib.sha256(b"".join((view[: _OWN_CHECKSUM.start], view[_OWN_CHECKSUM.stop :]))).digest() != own:
            raise SnapshotCorrupt("the checksum of its delta differs from the content")
        steps: list[tuple[int, int, memoryview]] = []
        copied = 0
        for start, length, new in _STEP.iter_unpack(view[_HEADER.size : at]):
            if not copied <= start <= start + length <= base_size or at + new > len(raw):
                raise SnapshotCorrupt("its delta copies what is not there")
            steps.append((start, length, view[at : at + new]))
            copied, at = start + length, at + new
        if at != len(raw) or sum(length + len(new) for _, length, new in steps) != size:
            raise SnapshotCorrupt("its delta makes another size than it says")
        return cls(number, base_size, base, size, tuple(steps))

    def fits(self, blob: Blob) -> bool:
        """Whether this blob is the delta's base."""
        return len(blob) == self.base_size and checksum(blob) == self.base_checksum

    def pieces(self, base: Blob) -> Iterator[memoryview]:
        """The result of a delta that fits a base, in pieces of some size; to be verified like any other blob."""
        view = memoryview(base)
        for start, length, new in self.steps:
            for at in range(start, start + length, PIECE):
                yield view[at : min(at + PIECE, start + length)]
            yield new


_Step = tuple[int, int, list[memoryview]]


def _steps(base: bytes, result: bytes) -> list[_Step]:
    """The steps: offset and length of each copy from ``base``, and the new bytes that follow in ``result``."""
    steps: list[_Step] = []
    view = memoryview(result)
    for (base_start, base_end), (start, end) in zip(regions(base), regions(result), strict=True):
        common = min(base_end - base_start, end - start)
        done = 0
        for differs, until in _differences(base, base_start, result, start, common):
            _copy(steps, base_start + done, differs - done)
            steps[-1][2].append(view[start + differs : start + until])
            done = until
        _copy(steps, base_start + done, common - done)
        if start + common < end:
            steps[-1][2].append(view[start + common : end])
    return steps


def _copy(steps: list[_Step], start: int, length: int) -> None:
    """Adds a copy; a copy that continues the last one makes that longer."""
    if steps and not steps[-1][2] and sum(steps[-1][:2]) == start:
        start, before, _ = steps.pop()
        length += before
    steps.append((start, length, []))


def _differences(
    base: bytes, base_start: int, result: bytes, start: int, size: int, blocks: tuple[int, ...] = _BLOCKS
) -> Iterator[tuple[int, int]]:
    """The differing ranges of two stretches of equal size, as offsets from their starts, in smallest blocks."""
    block, *finer = blocks
    for at in range(0, size, block):
        end = min(at + block, size)
        if base[base_start + at : base_start + end] == result[start + at : start + end]:
            continue
        if not finer:
            yield at, end
        else:
            for differs, until in _differences(base, base_start + at, result, start + at, end - at, tuple(finer)):
                yield at + differs, at + until
