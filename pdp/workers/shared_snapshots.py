"""Snapshots that several processes answer from, in one copy.

The supervisor puts each into a memory file, seals it so that nobody can change it any more, verifies it, and hands the
file to every worker over its socket. Who maps it has the same pages as all the others, and they are freed with the last
of them; nothing is left on disk.
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
    """Memory files. What is small comes to the heap first, like anywhere else."""

    def filled(self, size: int, pieces: Iterable[Buffer]) -> Blob:
        """Puts the pieces of a blob together; without the interpreter's lock, but for what makes the pieces."""
        if size < LARGE:
            return super().filled(size, pieces)

        def fill(number: int) -> None:
            for piece in pieces:
                _write(number, piece)

        return _sealed(fill)

    def of_file(self, number: int) -> Blob:
        """Copies the blob in an open file that is not empty.

        Raises:
            OSError: it cannot be read.
        """

        def fill(to: int) -> None:
            at = 0
            while copied := os.sendfile(to, number, at, _PIECE):
                at += copied

        return _sealed(fill)


class Shared(NamedTuple):
    """A snapshot that is shared.

    Attributes:
        tenant: the snapshot's.
        origin: where it was loaded from.
        since: when the loader began to make this change, in Unix time; 0: nobody waits for it.
        number: of the memory file that it lies in.
    """

    tenant: str
    origin: str
    since: float
    number: int


def opened(number: int) -> Snapshot:
    """The snapshot in an open memory file of the supervisor's.

    It is not hashed: the supervisor opened it before, with its keys, and handed it over the socket that nobody else can
    reach; since it was sealed, nobody can have changed it. Else each worker would hash half a gigabyte once more.

    Raises:
        SnapshotError: it is none, or is not sealed.
        OSError: it is no memory file.
    """
    if fcntl.fcntl(number, fcntl.F_GET_SEALS) & _SEALS != _SEALS:
        raise SnapshotUntrusted("lies in a file that is not sealed")
    return decode_verified(mmap.mmap(number, 0, access=mmap.ACCESS_READ))


class SharedSnapshots(CurrentSnapshots):
    """Current snapshots that others are told of; they answer from memory files themselves, so each is there once."""

    memory = SharedMemory()
    answered_elsewhere = True

    def __init__(self, source: str) -> None:
        super().__init__(source)
        self._shared: dict[str, Shared] = {}
        self._listeners: list[Callable[[str, Shared | None], None]] = []
        self._told_incomplete: list[Callable[[str], None]] = []
        self.sharing = threading.RLock()
        """Held while something changes and is told; who begins to listen holds it and misses nothing."""

    def shared(self) -> list[Shared]:
        """Every snapshot. To be called, and used, while ``sharing`` is held."""
        return list(self._shared.values())

    def listen(self, listener: Callable[[str, Shared | None], None], incomplete: Callable[[str], None]) -> None:
        """Tells of each change from now on.

        It is told before the change is seen here. So a listener that is told of the very first rules, while nothing is
        ``ready``, and returns when those who answer have them, keeps health from promising answers too soon.

        Args:
            listener: is given the tenant, and its new snapshot or None.
            incomplete: is given why tenants may be missing, or an empty text.
        """
        with self.sharing:
            self._listeners.append(listener)
            self._told_incomplete.append(incomplete)

    def set_incomplete(self, why: str, missing: Iterable[str] = ()) -> None:
        """Says that tenants may be missing, or that none is any more, here and to whoever listens."""
        with self.sharing:
            super().set_incomplete(why, missing)

    def await_all(self) -> None:
        """Is not ready before ``have_all`` is called, and so are those who listen."""
        with self.sharing:
            super().await_all()

    def have_all(self) -> None:
        """Says that all tenants are here, here and to whoever listens."""
        with self.sharing:
            super().have_all()

    def _tell_incomplete(self, why: str) -> None:
        for tell in self._told_incomplete:
            tell(why)

    def replace(self, snapshot: Snapshot, origin: str = "definitions", since: float = 0.0) -> None:
        """From the next call on, the tenant is decided by it, here and by whoever listens."""
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
        """From the next call on, nobody knows the tenant."""
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
    """Writes all of it, however much the system takes at once."""
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
