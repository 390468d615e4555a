"""The memory that blobs of snapshots lie in.

A large blob lies outside Python's heap: filled piece by piece and returned to the system, both without the
interpreter's lock, which the threads that answer calls need.
"""

from __future__ import annotations

import mmap
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pdp.rules.snapshot.throttle import PIECE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pdp.rules.snapshot.blob import Blob, Buffer

LARGE = 1 << 20
"""Bytes from which on a blob gets separate memory; below, copying and freeing a blob takes microseconds."""


class Memory:
    """Memory of this process alone."""

    def filled(self, size: int, pieces: Iterable[Buffer]) -> Blob:
        """Puts the pieces of a blob together.

        Args:
            size: total bytes of the pieces.
            pieces: the parts in order.
        """
        if size < LARGE:
            return b"".join(pieces)
        memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if hasattr(mmap, "MADV_HUGEPAGE"):  # on Linux: an eighth of the time to fill, and quicker look-ups
            memory.madvise(mmap.MADV_HUGEPAGE)
        at = 0
        with memoryview(memory) as whole, _copier() as copy:
            for piece in pieces:
                copy(whole[at : at + len(piece)], piece)
                at += len(piece)
        return memory

    def of_file(self, number: int) -> Blob:
        """The blob in an open, non-empty file, mapped; pages are shared with other processes that have the file open.

        Raises:
            OSError: the file cannot be read.
        """
        return mmap.mmap(number, 0, access=mmap.ACCESS_READ)


@contextmanager
def _copier() -> Iterator[Callable[[memoryview, Buffer], None]]:
    """Copies bytes; on Linux without the interpreter's lock.

    The first touch of new memory is the system's work, and takes milliseconds for a huge page where the machine is a
    virtual one. Python's own copy would hold the lock for as long. So a file in memory is in between: reading and
    writing files is done without the lock.
    """
    try:
        between = os.memfd_create("rightcall-copy", os.MFD_CLOEXEC)
    except (AttributeError, OSError):
        yield _copy
        return
    try:

        def copy(to: memoryview, piece: Buffer) -> None:
            done = 0
            with memoryview(piece) as rest:
                while done < len(rest):
                    written = os.pwrite(between, rest[done : done + PIECE], 0)
                    os.preadv(between, [to[done : done + written]], 0)
                    done += written

        yield copy
    finally:
        os.close(between)


def _copy(to: memoryview, piece: Buffer) -> None:
    to[:] = piece
