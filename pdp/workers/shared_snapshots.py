"""Snapshots that several processes answer from, in one copy.

The supervisor writes each snapshot into a memory file, seals the file against changes, verifies the snapshot, and
sends the file to every worker over the worker's socket. All processes map the same pages, which are freed with the
last mapping; nothing is left on disk.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import threading
import weakref
from typing import TYPE_CHECKING, NamedTuple

from pdp.rules.errors import SnapshotUntrusted
from pdp.rules.snapshot.snapshot import decode_verified
from pdp.snapshots.current import CurrentSnapshots
from pdp.snapshots.memory import LARGE, Memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pdp.rules.snapshot.blob import Blob, Buffer
    from pdp.rules.snapshot.snapshot import Snapshot

_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
_PIECE = 1 << 20
"""Bytes that are copied at once."""


class SharedBlob(mmap.mmap):
    """A blob in a sealed memory file.

    Attributes:
        number: of the open file, which is closed with the blob.
    """

    number: int


class SharedMemory(Memory):
    """Memory files. Small blobs come to the heap first, as in other memory."""

    def filled(self, size: int, pieces: Iterable[Buffer]) -> Blob:
        """Puts the pieces of a blob together; without the interpreter's lock, but for making the pieces."""
        if size < LARGE:
            return super().filled(size, pieces)

        def fill(number: int) -> None:
            for piece in pieces:
                _write(number, piece)

        return _sealed(fill)

    def of_file(self, number: int) -> Blob:
        """Copies the blob of an open, non-empty file.

        Raises:
            OSError: the file cannot be read.
        """

        def fill(to: int) -> None:
            at = 0
            while copied := os.sendfile(to, number, at, _PIECE):
                at += copied

        return _sealed(fill)


class Shared(NamedTuple):
    """A shared snapshot.

    Attributes:
        tenant: the snapshot's tenant.
        origin: source of the snapshot.
        since: when the loader began this change, in Unix time; 0: not measured.
        number: file descriptor of the memory file.
    """

    tenant: str
    origin: str
    since: float
    number: int


def opened(number: int) -> Snapshot:
    """The snapshot in an open memory file of the supervisor's.

    The snapshot is not hashed: the supervisor verified the sealed file with its keys, and sent the file over a socket
    that no other process can reach. Else each worker would hash half a gigabyte once more.

    Raises:
        SnapshotError: the file holds no snapshot, or is not sealed.
        OSError: the file is no memory file.
    """
    if fcntl.fcntl(number, fcntl.F_GET_SEALS) & _SEALS != _SEALS:
        raise SnapshotUntrusted("lies in a file that is not sealed")
    return decode_verified(mmap.mmap(number, 0, access=mmap.ACCESS_READ))


class SharedSnapshots(CurrentSnapshots):
    """Current snapshots with a listener that answers from the same memory files: each snapshot is in memory once."""

    memory = SharedMemory()
    answered_elsewhere = True

    def __init__(self, source: str) -> None:
        super().__init__(source)
        self._shared: dict[str, Shared] = {}
        self._listeners: list[Callable[[str, Shared | None], None]] = []
        self._told_incomplete: list[Callable[[str], None]] = []
        self.sharing = threading.RLock()
        """Held during a change and its notification, and while a listener is added, so that no change is missed."""

    def shared(self) -> list[Shared]:
        """Every snapshot. To be called, and used, while ``sharing`` is held."""
        return list(self._shared.values())

    def listen(self, listener: Callable[[str, Shared | None], None], incomplete: Callable[[str], None]) -> None:
        """Notifies a listener of each change from now on.

        The listener is called before the change is visible here. So a listener that gets the very first rules, before
        ``ready``, and returns once the workers have the rules, keeps health from promising answers too soon.

        Args:
            listener: called with the tenant, and the new snapshot or None.
            incomplete: called with the reason why tenants may be missing, or an empty text.
        """
        with self.sharing:
            self._listeners.append(listener)
            self._told_incomplete.append(incomplete)

    def set_incomplete(self, why: str, missing: Iterable[str] = ()) -> None:
        """Sets why tenants may be missing, or that none is, here and at the listener."""
        with self.sharing:
            super().set_incomplete(why, missing)

    def await_all(self) -> None:
        """Is not ready before ``have_all`` is called; the listener neither."""
        with self.sharing:
            super().await_all()

    def have_all(self) -> None:
        """Sets that all tenants are here, here and at the listener."""
        with self.sharing:
            super().have_all()

    def _tell_incomplete(self, why: str) -> None:
        for tell in self._told_incomplete:
            tell(why)

    def replace(self, snapshot: Snapshot, origin: str = "definitions", since: float = 0.0) -> None:
        """Makes the snapshot current from the next call on, here and at the listener."""
        held = self.get(snapshot.tenant)
        if held is not None and held.snapshot is snapshot:  # only its origin is another one
            super().replace(snapshot, origin, since)
            return
        blob = snapshot.blob
        if not isinstance(blob, SharedBlob):
            blob = _copied(blob)
            snapshot = decode_verified(blob)  # it was verified where it lay, which was memory of this process
        with self.sharing:
            self._tell(snapshot.tenant, Shared(snapshot.tenant, origin, since, blob.number))
            super().replace(snapshot, origin, since)

    def remove(self, tenant: str) -> None:
        """Makes the tenant unknown from the next call on."""
        with self.sharing:
            super().remove(tenant)
            self._tell(tenant, None)

    def _tell(self, tenant: str, shared: Shared | None) -> None:
        self._shared.pop(tenant, None)
        if shared is not None:
            self._shared[tenant] = shared
        for listener in self._listeners:
            listener(tenant, shared)


def _copied(blob: Blob) -> SharedBlob:
    return _sealed(lambda number: _write(number, blob))


def _write(number: int, content: Blob | Buffer) -> None:
    """Writes all bytes, in as many system calls as needed."""
    with memoryview(content) as whole:
        at = 0
        while at < len(whole):
            at += os.write(number, whole[at:])


def _sealed(fill: Callable[[int], None]) -> SharedBlob:
    """A memory file that is filled, then sealed, then mapped."""
    number = os.memfd_create("rightcall", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        fill(number)
        fcntl.fcntl(number, fcntl.F_ADD_SEALS, _SEALS)
        blob = SharedBlob(number, 0, access=mmap.ACCESS_READ)
    except BaseException:
        os.close(number)
        raise
    blob.number = number
    weakref.finalize(blob, os.close, number).atexit = False
    return blob
