"""Snapshots that several processes answer from, in one copy.

The supervisor puts each into a memory file, seals it so that nobody can change it any more, and hands the file to every
worker over its socket. Who maps it has the same pages as all the others, and they are freed with the last of them;
nothing is left on disk.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import threading
from typing import TYPE_CHECKING

from pdp.current import CurrentSnapshots
from pdp.rules.snapshot import decode

if TYPE_CHECKING:
    from collections.abc import Callable

    from pdp.rules.snapshot import Snapshot

_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


class SharedFile:
    """A snapshot in a memory file.

    Args:
        snapshot: what is put there.
        origin: where it was loaded from.
        since: when the loader began to make this change, in Unix time; 0: nobody waits for it.

    Attributes:
        tenant: the snapshot's.
        origin: as given.
        since: as given.
        number: of the open file.
    """

    def __init__(self, snapshot: Snapshot, origin: str, since: float) -> None:
        self.tenant = snapshot.tenant
        self.origin = origin
        self.since = since
        self.number = os.memfd_create(f"rightcall {snapshot.tenant}", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        with memoryview(snapshot.blob) as left:
            rest = left
            while rest:
                rest = rest[os.write(self.number, rest) :]
        fcntl.fcntl(self.number, fcntl.F_ADD_SEALS, _SEALS)

    def open(self) -> Snapshot:
        """The snapshot, where it lies."""
        return opened(self.number)

    def close(self) -> None:
        """Lets go of it; who has it open keeps it."""
        os.close(self.number)


def opened(number: int) -> Snapshot:
    """The snapshot in an open memory file.

    Raises:
        SnapshotError: it is none.
    """
    # Its signature was checked by whoever put it there; nobody else can have.
    return decode(mmap.mmap(number, 0, access=mmap.ACCESS_READ))


class SharedSnapshots(CurrentSnapshots):
    """Current snapshots that others are told of; they answer from memory files themselves, so each is there once."""

    def __init__(self, source: str) -> None:
        super().__init__(source)
        self._files: dict[str, SharedFile] = {}
        self._listeners: list[Callable[[str, SharedFile | None], None]] = []
        self.sharing = threading.RLock()
        """Held while something changes and is told; who begins to listen holds it and misses nothing."""

    def files(self) -> list[SharedFile]:
        """Every snapshot. To be called, and used, while ``sharing`` is held."""
        return list(self._files.values())

    def listen(self, listener: Callable[[str, SharedFile | None], None]) -> None:
        """Tells of each change from now on: the tenant, and its new snapshot or None."""
        with self.sharing:
            self._listeners.append(listener)

    def replace(self, snapshot: Snapshot, origin: str = "definitions", since: float = 0.0) -> None:
        """From the next call on, the tenant is decided by it, here and by whoever listens."""
        with self.sharing:
            held = self.get(snapshot.tenant)
            if held is not None and held.snapshot is snapshot:  # only its origin is another one
                super().replace(snapshot, origin, since)
                return
            file = SharedFile(snapshot, origin, since)
            super().replace(file.open(), origin, since)
            self._tell(snapshot.tenant, file)

    def remove(self, tenant: str) -> None:
        """From the next call on, nobody knows the tenant."""
        with self.sharing:
            super().remove(tenant)
            self._tell(tenant, None)

    def _tell(self, tenant: str, file: SharedFile | None) -> None:
        before = self._files.pop(tenant, None)
        if file is not None:
            self._files[tenant] = file
        for listener in self._listeners:
            listener(tenant, file)
        if before is not None:
            before.close()
