"""Definitions in files: one file, or the files of one directory.

Changes are noticed by comparing sizes and times twice a second, not by notifications of the kernel. Polling works the
same on network file systems, behind bind mounts and symbolic links (Kubernetes swaps a ConfigMap by moving one) and for
an editor that renames a new file, needs no raised limit, and costs a few microseconds a file.
"""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from loader.definitions.across import Found, check_across
from loader.definitions.document import ENDINGS, Checked, FollowedDocument, unreadable
from loader.definitions.text.tokens import UnreadableError, printable
from loader.errors import SourceError
from loader.faults import Fault
from loader.sources.base import Reading
from loader.sources.shutting import shut

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Iterator

    from loader.definitions.check import Entry
    from loader.definitions.text.tokens import Path

RECHECK_SECONDS = 30.0
MAX_FILE_SIZE = 256 * 2**20
"""Bytes."""

_LOOK_SECONDS = 0.5
_SETTLE_SECONDS = 0.1
_MAX_SETTLE_LOOKS = 20
_COARSE_NS = 100_000_000
"""A file that changed less than this before reading may change again within the same timestamp."""

Signature: TypeAlias = tuple[int, ...]


class Place(NamedTuple):
    """A place: a file, named as for people, and a line, if known."""

    file: str
    line: int | None


@dataclass(frozen=True, slots=True)
class _Held:
    """A file that was read, or found unreadable; ``lasting`` if only a change requires reading again."""

    signature: Signature
    document: FollowedDocument
    checked: Checked
    lasting: bool


class FileSource:
    """One file, or the files of one directory.

    Of a directory, the direct files that end in .yaml, .yml or .json are read, except hidden ones. Unchanged files are
    not parsed again; of a changed file, only the changes in long lists are.

    Args:
        path: of the file or directory, which need not exist yet.
        recheck: seconds after which a watch yields without a noticed change.
    """

    def __init__(self, path: str, *, recheck: float = RECHECK_SECONDS) -> None:
        self.name = path
        self.patience = 0.0
        self._recheck = recheck
        self._held: dict[str, _Held] = {}
        self._last: Reading | None = None
        self._seen: dict[str, Signature | None] | None = None

    def read(self) -> Reading:
        """Reads everything that changed since the last reading.

        Raises:
            SourceError: the path does not exist, or the directory cannot be listed.
        """
        self._seen = self._look()
        held = {file: self._read(file) for file in self._files()}
        unchanged = self._last is not None and held.keys() == self._held.keys()
        same = unchanged and all(each.checked is self._held[file].checked for file, each in held.items())
        self._held = held
        if not same:
            self._last = self._reading()
        assert self._last is not None  # noqa: S101 - for mypy: follows from the condition above
        return self._last

    def stale_seconds(self) -> float:
        """Always zero: a change of a file is seen at the next look, half a second later at the most."""
        return 0.0

    def watch(self, stop: threading.Event) -> Iterator[None]:
        """Yields when a change is complete, and every ``recheck`` seconds. Returns soon after ``stop`` is set."""
        due = time.monotonic() + self._recheck
        while not stop.wait(min(_LOOK_SECONDS, self._recheck)):
            now = self._look()
            if now != self._seen:
                self._seen = self._settled(now, stop)
            elif time.monotonic() < due:
                continue
            yield
            due = time.monotonic() + self._recheck

    def places(self, tenant: str, wanted: Iterable[tuple[str, str | int]]) -> dict[tuple[str, str | int], Place]:
        """The places of a tenant's items in the files that were read last.

        Args:
            tenant: the tenant's UUID.
            wanted: names of the tenant's lists, each with the id of a member.
        """
        for file, held in self._held.items():
            for entry in held.checked.entries:
                if entry.uuid == tenant and entry.tenant is not None:
                    paths = _paths(entry, wanted)
                    lines = held.document.lines(paths.values())
                    return {
                        key: Place(_shown(file), lines.of(path, key=False) if lines else None)
                        for key, path in paths.items()
                    }
        return {}

    def close(self) -> None:
        """Nothing is open between two readings."""

    def _settled(
        self, seen: dict[str, Signature | None] | None, stop: threading.Event
    ) -> dict[str, Signature | None] | None:
        """Waits until the writer is done, with a limit: reading half a file costs one passing fault."""
        for _ in range(_MAX_SETTLE_LOOKS):
            if stop.wait(_SETTLE_SECONDS) or (now := self._look()) == seen:
                break
            seen = now
        return seen

    def _look(self) -> dict[str, Signature | None] | None:
        """The signatures of the files, without reading; None if no files are visible."""
        try:
            return {file: _signature_of(file) for file in self._files()}
        except SourceError:
            return None

    def _files(self) -> list[str]:
        """The files to read, sorted.

        Raises:
            SourceError: the path does not exist, or the directory cannot be listed.
        """
        try:
            if not stat.S_ISDIR(os.stat(self.name).st_mode):  # noqa: PTH116 - the path stays as the person wrote it
                return [self.name]
            names = sorted(os.listdir(self.name))  # noqa: PTH208 - the path stays as the person wrote it
        except (OSError, ValueError) as error:  # ValueError: a path with a NUL
            reason = getattr(error, "strerror", None) or str(error)
            raise SourceError(f"{self.name} cannot be read ({reason}); check the path and its permissions") from error
        return [
            os.path.join(self.name, name)  # noqa: PTH118 - the path stays as the person wrote it
            for name in names
            if name.lower().endswith(ENDINGS) and not name.startswith(".")
        ]

    def _read(self, file: str) -> _Held:
        """The file's current content; the same object as in the last reading if unchanged."""
        held = self._held.get(file)
        if held is not None and held.lasting and held.signature == _signature_of(file):
            return held
        document = held.document if held is not None else FollowedDocument(_shown(file))
        try:
            data, signature = _content(file)
        except UnreadableError as error:
            fresh = _Held((), document, unreadable(_shown(file), error), lasting=False)
            return held if held == fresh else fresh
        lasting = not 0 <= time.time_ns() - signature[0] < _COARSE_NS
        return _Held(signature, document, document.check(data), lasting)

    def _reading(self) -> Reading:
        """Joins the content of the files."""
        documents = {file: held.checked for file, held in self._held.items()}
        found = check_across(documents)
        entries = [entry for document in documents.values() for entry in document.entries]
        at_fault = {entry.uuid for entry in entries if entry.tenant is None} | {entry.uuid for _, entry, _ in found}
        tenants = [entry.tenant for entry in entries if entry.tenant is not None and entry.uuid not in at_fault]
        faults = [fault for document in documents.values() for fault in document.faults]
        faults += self._faults_across(found)
        if not documents:
            remedy = f"put files there whose names end in {', '.join(ENDINGS)}"
            faults.append(Fault(_shown(self.name), None, "", "", "", "the directory holds no definitions", remedy))
        return Reading(
            tenants=tuple(sorted(tenants, key=lambda tenant: tenant.uuid)),
            faults=tuple(sorted(faults)),
            faulty=frozenset(at_fault - {""}),
            complete=bool(documents) and all(document.complete for document in documents.values()),
            shut=shut(entries, at_fault, [entry.uuid for _, entry, _ in found]),
        )

    def _faults_across(self, found: list[Found]) -> list[Fault]:
        """The findings with their lines."""
        paths: dict[str, list[Path]] = {}
        for file, _, finding in found:
            paths.setdefault(file, []).append(finding.path)
        lines = {file: self._held[file].document.lines(its) for file, its in paths.items()}
        return [finding.fault(_shown(file), lines[file], entry.label) for file, entry, finding in found]


def _paths(entry: Entry, wanted: Iterable[tuple[str, str | int]]) -> dict[tuple[str, str | int], Path]:
    """The paths to members of a tenant's lists; for unknown members, to the tenant itself."""
    tenant = entry.tenant
    if tenant is None:
        return {}
    at: dict[tuple[str, str | int], int] = {("users", each.uuid): index for index, each in enumerate(tenant.users)}
    at |= {("call_permissions", each.id): index for index, each in enumerate(tenant.call_permissions)}
    at |= {("expectations", each.name): index for index, each in enumerate(tenant.expectations)}
    return {key: (*entry.path, key[0], at[key]) if key in at else entry.path for key in wanted}


def _shown(file: str) -> str:
    """The name for a message: whole, with bytes of another encoding escaped."""
    return printable(file, len(file))


def _signature_of(file: str) -> Signature | None:
    """The signature of a file, which differs after a change or a replacement; None without a file."""
    try:
        return _signature(os.stat(file))  # noqa: PTH116 - the path stays as the person wrote it
    except OSError:
        return None


def _signature(status: os.stat_result) -> Signature:
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, status.st_dev


def _content(file: str) -> tuple[bytes, Signature]:
    """The bytes of a file, and the signature before reading.

    Raises:
        UnreadableError: the file cannot be read, is not regular, or is too large.
    """
    if not file.lower().endswith(ENDINGS):
        raise UnreadableError(
            "is neither YAML nor JSON by its name", f"give it a name that ends in {', '.join(ENDINGS)}"
        )
    try:
        # O_NONBLOCK: opening a named pipe would wait for a writer.
        with open(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:  # noqa: PTH123 - a descriptor
            status = os.fstat(opened.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UnreadableError("is no regular file", "put a file there, or move it away")
            data = opened.read(MAX_FILE_SIZE + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UnreadableError(f"cannot be read ({reason})", "check the file and its permissions") from error
    if len(data) > MAX_FILE_SIZE:
        raise UnreadableError(f"is larger than {MAX_FILE_SIZE // 2**20} MiB", "split it, a tenant or more a file")
    return data, _signature(status)
