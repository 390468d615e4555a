"""The memory that blobs of snapshots lie in.

A large blob lies outside Python's heap: it is filled piece by piece, so that whoever answers calls never waits for the
interpreter's lock longer than one piece takes, and the system takes it back without that lock.
"""

from __future__ import annotations

import mmap
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pdp.rules.blob import Blob, Buffer

LARGE = 1 << 20
"""Bytes from which on a blob gets memory of its own; below, copying and freeing it is a matter of microseconds."""
_BREATH = 0.00002
"""Seconds that the interpreter's lock is left to others after each piece: as short as it may be and yet be taken."""


class Memory:
    """Memory of this process alone."""

    def filled(self, size: int, pieces: Iterable[Buffer]) -> Blob:
        """Puts the pieces of a blob together.

        Args:
            size: bytes of all of them together.
            pieces: its parts in their order.
        """
        if size < LARGE:
            return b"".join(pieces)
        memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if hasattr(mmap, "MADV_HUGEPAGE"):  # on Linux: an eighth of the time to fill, and quicker look-ups
            memory.madvise(mmap.MADV_HUGEPAGE)
        at = 0
        for piece in pieces:
            memory[at : at + len(piece)] = piece
            at += len(piece)
            time.sleep(_BREATH)
        return memory

    def of_file(self, number: int) -> Blob:
        """The blob in an open file that is not empty, where it lies; its pages are shared with others who have it open.

        Raises:
            OSError: it cannot be read.
        """
        return mmap.mmap(number, 0, access=mmap.ACCESS_READ)
