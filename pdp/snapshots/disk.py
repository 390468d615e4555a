"""The last good snapshots on disk, so that a server that starts while Redis is away answers at once.

A directory holds, for each tenant, the pointer last followed, as Redis had it, and the pointer's snapshot:

    {tenant}.pointer              JSON, signed where there is a key
    {tenant}.{number}.snapshot    the blob
    tenants.manifest              the list of tenants, as Redis had it; see ``pdp.rules.publication.manifest``

The snapshot is written before the pointer, each under another name first and then renamed: files stay whole
whenever the machine stops. Every file is verified when read, like data from Redis.
"""

from __future__ import annotations

import re
import tempfile
from typing import TYPE_CHECKING

import structlog

from pdp.errors import ServerError
from pdp.rules.errors import SnapshotCorrupt, SnapshotError
from pdp.rules.publication.pointer import Pointer
from pdp.rules.snapshot.snapshot import decode
from pdp.runtime.files import MAX_TABLE, UNFINISHED, read_regular, replace_file
from pdp.snapshots.memory import read

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pdp.rules.snapshot.blob import Blob
    from pdp.rules.snapshot.snapshot import Snapshot

_log = structlog.get_logger()

_TENANT = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_POINTER = ".pointer"
_SNAPSHOT = ".snapshot"
_MANIFEST = "tenants.manifest"


class StateError(ServerError):
    """The state directory cannot be used."""


class SnapshotStore:
    """A directory of last good snapshots, for one server at a time.

    Args:
        directory: made if missing.
        secrets: the deployment's keys, of which one must have signed each file; none: no signature is required.

    Raises:
        StateError: the directory cannot be made or written to.
    """

    def __init__(self, directory: Path, secrets: Sequence[bytes] = ()) -> None:
        self._directory = directory
        self._secrets = secrets
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            for left_over in directory.glob(f"*{UNFINISHED}"):
                left_over.unlink(missing_ok=True)
            with tempfile.NamedTemporaryFile(dir=directory, suffix=UNFINISHED):
                pass
        except OSError as error:
            raise StateError(
                f"state directory {directory} cannot be written to ({error.strerror}); "
                "make it writable for this user, or give another --state-dir"
            ) from error

    def load(self) -> Iterator[tuple[Pointer, Snapshot | None, SnapshotError | None]]:
        """Each tenant's pointer, with the snapshot or the fault.

        The snapshot of a removed tenant is None, without an error. A file that is no pointer is returned as a pointer
        to nothing, with the tenant of the file's name.
        """
        for path in sorted(self._directory.glob(f"*{_POINTER}")):
            tenant = path.name.removesuffix(_POINTER)
            pointer = Pointer.to_nothing(tenant, 1)
            try:
                pointer = Pointer.load(tenant, read_regular(path), self._secrets)
                yield pointer, None if pointer.removed else self._open(pointer), None
            except SnapshotError as error:
                yield pointer, None, error
            except OSError as error:
                yield pointer, None, SnapshotCorrupt(f"{path} cannot be read: {error.strerror}")

    def save(self, pointer: Pointer, raw: bytes, blob: Blob | None) -> None:
        """Keeps a tenant's pointer and snapshot, in place of the last; a failure is logged, and costs nothing else.

        Args:
            pointer: the pointer followed.
            raw: the same, as Redis held it.
            blob: the pointer's snapshot; None where there is none, or the blob is here already.
        """
        if not _TENANT.fullmatch(pointer.tenant):
            return
        try:
            if blob is not None:
                replace_file(self._snapshot(pointer), blob)
            replace_file(self._directory / f"{pointer.tenant}{_POINTER}", raw)
            for old in self._directory.glob(f"{pointer.tenant}.*{_SNAPSHOT}"):
                if pointer.removed or old != self._snapshot(pointer):
                    old.unlink(missing_ok=True)
        except OSError as error:
            _log.error("state_not_saved", tenant=pointer.tenant, directory=str(self._directory), problem=str(error))

    def load_manifest(self) -> bytes | None:
        """The manifest that was followed last, unread; None where there is none that could be read."""
        try:
            return read_regular(self._directory / _MANIFEST, MAX_TABLE)
        except OSError:
            return None

    def save_manifest(self, raw: bytes) -> None:
        """Keeps a manifest in place of the last; a failure is logged, and costs nothing else."""
        try:
            replace_file(self._directory / _MANIFEST, raw)
        except OSError as error:
            _log.error("state_not_saved", directory=str(self._directory), problem=str(error))

    def _snapshot(self, pointer: Pointer) -> Path:
        return self._directory / f"{pointer.tenant}.{pointer.revision.number}{_SNAPSHOT}"

    def _open(self, pointer: Pointer) -> Snapshot:
        path = self._snapshot(pointer)
        snapshot = decode(read(path), secrets=self._secrets)
        if (snapshot.tenant, snapshot.revision) != (pointer.tenant, pointer.revision):
            raise SnapshotCorrupt(f"{path} is of another tenant or revision")
        return snapshot
