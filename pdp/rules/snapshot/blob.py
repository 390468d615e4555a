"""The outer form of a snapshot: one blob of sections under a header with checksum and signature.

    offset  size
         0     8  magic
         8     4  format version
        12     4  number of sections
        16     8  size of the whole blob in bytes
        24    32  signature: HMAC-SHA256 of the content's digest under the deployment's key; zeros without a key
        56    32  checksum: SHA-256 of the content's digest and the signature
        88  16·n  where each section starts and how many bytes it has
         …        the sections, each at a multiple of 64 bytes, with zeros in between

A section gets room to grow before the next one starts, so that the sections behind one that grew by a little keep their
offsets: an edit then changes a few ranges of the blob (see ``delta``).

The content's digest is the SHA-256 of everything before 24 and after 88. All numbers are little-endian and unsigned.
Sections are found by position: ``Section`` is the format, and FORMAT.md beside this file describes it. A change to
the sections or to their contents is a new FORMAT_VERSION. A reader takes the versions in READABLE, so that servers can
be upgraded before loaders; a reader rejects every other version, and keeps the snapshot that is loaded.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
import sys
from enum import IntEnum
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from pdp.rules.errors import SnapshotCorrupt, SnapshotForeign, SnapshotTruncated, SnapshotUntrusted

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterable, Mapping, Sequence

Blob: TypeAlias = "bytes | mmap.mmap"
"""A buffer whose slices are ``bytes``: the hash tables compare keys with one comparison each."""

Buffer: TypeAlias = "bytes | bytearray | memoryview"
"""Any buffer of bytes."""

PIECE = 1 << 18
"""Bytes of a blob that are fetched or copied at once."""

MAGIC = b"RIGHTCAL"
FORMAT_VERSION = 3
"""The version that is written."""
READABLE = {2: 14, 3: 16}
"""The versions that are read, each with its number of sections; sections that a version lacks are read as empty."""
ALIGNMENT = 64
_ROOM_BITS = 5
"""A section's room is a multiple of 2 to the power (bits of the size - ``_ROOM_BITS``): at most a 16th is spare."""
_META_ROOM = 1024
"""The room of META, whose size changes with every revision, is a multiple of this many bytes."""

HEAD_SIZE = 24
"""Bytes of a blob up to the end of the field with the blob's size."""
_HEADER = struct.Struct("<8sIIQ32s32s")
_ENTRY = struct.Struct("<QQ")
_CONTENT_HEAD = 24
_UNSIGNED = bytes(32)


class Section(IntEnum):
    """The sections of a snapshot, in the order of the blob."""

    META = 0
    """JSON: tenant, revision, counts, widths."""
    SYMBOLS = 1
    BLOCKS = 2
    LEAVES = 3
    PROGRAMS = 4
    LITERALS = 5
    WIDE = 6
    USERS = 7
    """Hash table: UUID → root, record."""
    OUTCALLS = 8
    """Hash table: id → root, record."""
    RECORDS = 9
    """Words: the associations of users, groups and outcalls."""
    PERMISSIONS = 10
    """One PERMISSION_ROW per permission."""
    PATTERNS = 11
    """Words: offset and length of the text, kind, reference."""
    STRINGS = 12
    """UTF-8 text, end to end."""
    SECRETS = 13
    """Salted, keyed hashes of passwords."""
    ALIASES = 14
    """Hash table: alias → offset and length of the user's UUID in STRINGS. Empty in a tenant without aliases."""
    DIALLING = 15
    """The tenant's dialling plan (see ``dialling``). Empty where extensions are read unchanged."""


class Extent(NamedTuple):
    """Offset and size of a section."""

    start: int
    view: memoryview


def seal(sections: Mapping[Section, Buffer], secret: bytes | None) -> bytes:
    """Puts sections together under a header with checksum, and signs the blob if there is a secret key."""
    offset = _HEADER.size + _ENTRY.size * len(Section)
    entries: list[bytes] = []
    body: list[Buffer] = []
    for section in Section:
        padding = -offset % ALIGNMENT
        content = sections[section]
        spare = _room(section, len(content)) - len(content)
        body += (bytes(padding), content, bytes(spare))
        entries.append(_ENTRY.pack(offset + padding, len(content)))
        offset += padding + len(content) + spare
    header = _HEADER.pack(MAGIC, FORMAT_VERSION, len(Section), offset, _UNSIGNED, _UNSIGNED)
    digest = _content_digest(header, [*entries, *body])
    signature = _sign(secret, digest) if secret else _UNSIGNED
    return b"".join((header[:_CONTENT_HEAD], signature, _checksum(digest, signature), *entries, *body))


def is_whole(size: object, head: object) -> bool:
    """Whether a blob with this size and these first bytes is complete; the content is not checked.

    Args:
        size: the size of the blob in bytes, or a different response of Redis.
        head: the first HEAD_SIZE bytes, or a different response of Redis.
    """
    if not isinstance(head, bytes) or len(head) < HEAD_SIZE:
        return False
    return head.startswith(MAGIC) and int.from_bytes(head[16:24], "little") == size


def checksum(blob: Blob) -> bytes:
    """The checksum in a blob's header, which identifies the blob; the content is not hashed again."""
    return blob[_HEADER.size - len(_UNSIGNED) : _HEADER.size]


def regions(blob: Blob) -> list[tuple[int, int]]:
    """The start and end of each part of a whole blob, in order: the header, then each section with its room.

    Raises:
        SnapshotError: the header is not one of this format.
    """
    if len(blob) < _HEADER.size + _ENTRY.size * len(Section):
        raise SnapshotTruncated(_HEADER.size + _ENTRY.size * len(Section), len(blob))
    starts = [_ENTRY.unpack_from(blob, _HEADER.size + _ENTRY.size * section)[0] for section in Section]
    edges = [0, *starts, len(blob)]
    if edges != sorted(edges):
        raise SnapshotCorrupt("its sections are not in their order")
    return list(pairwise(edges))


def unseal(blob: Blob, secrets: Sequence[bytes] = ()) -> dict[Section, Extent]:
    """Checks a blob and returns the extents of its sections.

    Args:
        blob: the return value of ``seal``.
        secrets: keys of which one must have signed the blob; none: a signature is not required.

    Raises:
        SnapshotError: the blob is no whole, undamaged, trusted snapshot of this format.
    """
    view = memoryview(blob).toreadonly()
    head = _head(view)
    rest = view[_HEADER.size :]
    digest = _content_digest(view, [rest])
    if _checksum(digest, head.signature) != head.checksum or head.size != len(view):
        raise SnapshotCorrupt("the checksum differs from the content")
    if secrets:
        _check_signature(head.signature, digest, secrets)
    return _sections(view, head)


def unseal_verified(blob: Blob) -> dict[Section, Extent]:
    """The extents of the sections of a blob that ``unseal`` has checked before, and that cannot have changed since.

    Checksum and signature, nearly the whole cost of opening, are not checked again. Header and sections are read as
    in ``unseal``: no section can lie outside the blob.

    Raises:
        SnapshotError: the blob is no whole snapshot of this format.
    """
    view = memoryview(blob).toreadonly()
    head = _head(view)
    if head.size != len(view):
        raise SnapshotCorrupt(f"it has {len(view)} bytes, and by its header {head.size}")
    return _sections(view, head)


class _Head(NamedTuple):
    """The fields of a header."""

    magic: bytes
    version: int
    sections: int
    size: int
    signature: bytes
    checksum: bytes


def _head(view: memoryview) -> _Head:
    """The header of a blob of this format."""
    if len(view) < _HEADER.size:
        raise SnapshotTruncated(_HEADER.size, len(view))
    head = _Head(*_HEADER.unpack_from(view))
    if head.magic != MAGIC:
        raise SnapshotForeign("magic", MAGIC, head.magic)
    if head.version not in READABLE:
        raise SnapshotForeign("format version", FORMAT_VERSION, head.version)
    if sys.byteorder != "little":  # the tables are used in place
        raise SnapshotForeign("byte order", sys.byteorder, "little")
    if head.size > len(view):
        raise SnapshotTruncated(head.size, len(view))
    return head


def _sections(view: memoryview, head: _Head) -> dict[Section, Extent]:
    count = READABLE[head.version]
    if head.sections != count:
        raise SnapshotCorrupt(f"{head.sections} sections where there are {count}")
    if head.size < _HEADER.size + _ENTRY.size * count:
        raise SnapshotCorrupt("it ends within its list of sections")
    missing = Extent(0, view[:0])
    return {section: _section(view, section) if section < count else missing for section in Section}


def _section(view: memoryview, section: Section) -> Extent:
    offset, length = _ENTRY.unpack_from(view, _HEADER.size + _ENTRY.size * section)
    if offset + length > len(view):
        raise SnapshotCorrupt(f"section {section.name} ends outside the blob")
    return Extent(offset, view[offset : offset + length])


def _room(section: Section, size: int) -> int:
    """The room, in bytes, for a section of this size."""
    least = _META_ROOM if section is Section.META else ALIGNMENT
    step = max(least, 1 << max(size.bit_length() - _ROOM_BITS, 0))
    return size + -size % step


def _content_digest(header: bytes | memoryview, covered: Iterable[Buffer]) -> bytes:
    digest = hashlib.sha256(header[:_CONTENT_HEAD])
    for part in covered:
        digest.update(part)
    return digest.digest()


def _checksum(digest: bytes, signature: bytes) -> bytes:
    return hashlib.sha256(digest + signature).digest()


def _sign(secret: bytes, digest: bytes) -> bytes:
    return hmac.digest(secret, b"snapshot\0" + digest, "sha256")


def _check_signature(signature: bytes, digest: bytes, secrets: Sequence[bytes]) -> None:
    if signature == _UNSIGNED:
        raise SnapshotUntrusted("is not signed, and this deployment has a secret key")
    if not any(hmac.compare_digest(signature, _sign(secret, digest)) for secret in secrets):
        raise SnapshotUntrusted("is signed with a key that is not this deployment's")
