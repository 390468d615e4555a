"""The memory that blobs of snapshots lie in: a large blob lies outside Python's heap, and is returned to the system."""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING

from pdp.runtime.files import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pdp.rules.snapshot.blob import Blob, Buffer

LARGE = 1 << 20
"""Bytes from which on a blob gets separate memory; below, copying and freeing a blob takes microseconds."""


def filled(size: int, pieces: Iterable[Buffer]) -> Blob:
    """Puts the pieces of a blob together.

    Args:
        size: total bytes of the pieces.
        pieces: the parts in order.
    """
    if size < LARGE:
        return b"".join(pieces)
    memory = _memory(size)
    for piece in pieces:
        memory.write(piece)
    return memory


def read(path: Path) -> Blob:
    """The blob in a file, not mapped: a file that is cut short or written to would end the process or its trust.

    Raises:
        OSError: the file cannot be read, or is not regular.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size < LARGE:
            return file.read()
        memory = _memory(size)
        file.readinto(memory)
    return memory


def _memory(size: int) -> mmap.mmap:
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):  # on Linux: an eighth of the time to fill, and quicker look-ups
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memory
