"""The outer form of a snapshot: one blob of sections under a header with checksum and signature.

    offset  size
         0     8  magic
         8     4  format version
        12     4  number of sections
        16     8  size of the whole blob in bytes
        24    32  signature: HMAC-SHA256 of the content's digest under the deployment's key; zeros where it has none
        56    32  checksum: SHA-256 of the content's digest and the signature
        88  16·n  where each section starts and how many bytes it has
         …        the sections, each at a multiple of 64 bytes

The content's digest is the SHA-256 of everything before 24 and after 88. All numbers are little-endian and unsigned.
Sections are found by position: ``Section`` is the format. A change to them, or to what is in them, is a new
FORMAT_VERSION; a reader refuses every version but its own, and keeps what it had.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
import sys
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from pdp.rules.errors import SnapshotCorrupt, SnapshotForeign, SnapshotTruncated, SnapshotUntrusted

if TYPE_CHECKING:
    import mmap
    from collections.abc import Mapping, Sequence

Blob: TypeAlias = "bytes | mmap.mmap"
"""What a slice of is bytes: the hash tables compare keys with one comparison each."""

Buffer: TypeAlias = "bytes | bytearray | memoryview"
"""Bytes, wherever they lie."""

MAGIC = b"RIGHTCAL"
FORMAT_VERSION = 1
ALIGNMENT = 64

_HEADER = struct.Struct("<8sIIQ32s32s")
_ENTRY = struct.Struct("<QQ")
_CONTENT_HEAD = 24
_UNSIGNED = bytes(32)


class Section(IntEnum):
    """What a snapshot consists of, in the order of the blob."""

    META = 0
    """JSON: tenant, revision, counts, widths."""
    SYMBOLS = 1
    ROWS = 2
    LEAVES = 3
    PROGRAMS = 4
    LITERALS = 5
    WIDE = 6
    USERS = 7
    """Hash table: UUID → root, record."""
    OUTCALLS = 8
    """Hash table: id → root, record."""
    RECORDS = 9
    """Words: what users, groups and outcalls are associated with."""
    PERMISSIONS = 10
    """Words: one row of PERMISSION_WORDS each."""
    PATTERNS = 11
    """Words: text's offset and length, kind, reference."""
    STRINGS = 12
    """UTF-8 text, end to end."""
    SECRETS = 13
    """Salted, keyed hashes of passwords."""


class Extent(NamedTuple):
    """Where a section lies."""

    start: int
    view: memoryview


def seal(sections: Mapping[Section, Buffer], secret: bytes | None) -> bytes:
    """Puts sections together, with checksum, and signed where there is a secret key."""
    offset = _HEADER.size + _ENTRY.size * len(Section)
    entries: list[bytes] = []
    body: list[Buffer] = []
    for section in Section:
        padding = -offset % ALIGNMENT
        content = sections[section]
        body += (bytes(padding), content)
        entries.append(_ENTRY.pack(offset + padding, len(content)))
        offset += padding + len(content)
    covered = b"".join(entries) + b"".join(body)
    header = _HEADER.pack(MAGIC, FORMAT_VERSION, len(Section), offset, _UNSIGNED, _UNSIGNED)
    digest = _content_digest(header, covered)
    signature = _sign(secret, digest) if secret else _UNSIGNED
    return b"".join((header[:_CONTENT_HEAD], signature, _checksum(digest, signature), covered))


def unseal(blob: Blob, secrets: Sequence[bytes] = ()) -> dict[Section, Extent]:
    """Checks a blob and returns its sections, where they lie.

    Args:
        blob: what ``seal`` returned.
        secrets: keys of which one must have signed it; none: a signature is not asked for.

    Raises:
        SnapshotError: it is no whole, undamaged, trusted snapshot of this format.
    """
    view = memoryview(blob).toreadonly()
    if len(view) < _HEADER.size:
        raise SnapshotTruncated(_HEADER.size, len(view))
    magic, version, count, size, signature, checksum = _HEADER.unpack_from(view)
    if magic != MAGIC:
        raise SnapshotForeign("magic", MAGIC, magic)
    if version != FORMAT_VERSION:
        raise SnapshotForeign("format version", FORMAT_VERSION, version)
    if sys.byteorder != "little":  # the tables are used where they lie
        raise SnapshotForeign("byte order", sys.byteorder, "little")
    if size > len(view):
        raise SnapshotTruncated(size, len(view))
    digest = _content_digest(view, view[_HEADER.size :])
    if _checksum(digest, signature) != checksum or size != len(view):
        raise SnapshotCorrupt("the checksum differs from the content")
    if secrets:
        _check_signature(signature, digest, secrets)
    if count != len(Section):
        raise SnapshotCorrupt(f"{count} sections where there are {len(Section)}")
    return {section: _section(view, section) for section in Section}


def _section(view: memoryview, section: Section) -> Extent:
    offset, length = _ENTRY.unpack_from(view, _HEADER.size + _ENTRY.size * section)
    if offset + length > len(view):
        raise SnapshotCorrupt(f"section {section.name} ends outside the blob")
    return Extent(offset, view[offset : offset + length])


def _content_digest(header: bytes | memoryview, covered: bytes | memoryview) -> bytes:
    digest = hashlib.sha256(header[:_CONTENT_HEAD])
    digest.update(covered)
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
