"""One cycle of the loader: read the source, compile the tenants whose content changed, publish them, remove those gone.

The source and the published state alone decide what is published: a cycle may be repeated at any time, by any loader,
and changes nothing without a difference.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loader.errors import PublishError, SourceError
from loader.faults import Fault, Severity
from loader.proofs import Proofs
from loader.publishing.publish import Standing
from pdp.rules.analysis.expectations import Truth
from pdp.rules.compiler.compiler import Compiler
from pdp.rules.compiler.digest import Digester
from pdp.rules.model import PasswordOverride, Revision
from pdp.rules.publication.pointer import Pointer

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping

    from loader.publishing.lease import Lease
    from loader.publishing.publish import Publisher
    from loader.sources.base import FaultyTenant, Reading, Source
    from pdp.rules.compiler.automata import Limits
    from pdp.rules.model import Tenant

DEFAULT_MAX_REMOVAL = 0.5

_RETRY = (0.5, 15.0)
"""Seconds until what could not be published is tried again: the first time, and at most."""


@dataclass(frozen=True, slots=True)
class Published:
    """A revision that became current.

    Attributes:
        tenant: the tenant's UUID.
        name: the tenant's name.
        revision: number and digest.
        permissions: number of permissions.
        size: bytes of the snapshot.
        seconds: duration of compiling.
        publish_seconds: duration of publishing.
    """

    tenant: str
    name: str
    revision: Revision
    permissions: int
    size: int
    seconds: float
    publish_seconds: float


@dataclass(frozen=True, slots=True)
class SyncReport:
    """The report of one cycle.

    Attributes:
        published: the revisions that became current.
        unchanged: the tenants whose content stands published already.
        removed: the tenants that are gone.
        faults: everything wrong with the definitions, warnings included, sorted.
        faulty: the tenants with errors; each keeps the last good rules.
        pinned: the tenants that an operator rolled back; each keeps the chosen revision.
        closed: the tenants with errors and without good rules: their users and outcalls are known, and their requests
            are rejected.
        isolated: the tenants whose sound permissions count, and whose faulty ones are closed.
        held_back: removals that are too large to be believed, each in words; such a tenant is unchanged.
        complete: all tenants of the source were read, good or faulty; otherwise nothing was removed.
        problems: failures of the source and of publishing, with remedies; empty after a cycle without failures.
        source_failed: nothing could be read at all.
        read_seconds: duration of reading the source and proving expectations.
        expectations: number of expectations by the result of their proofs.
    """

    published: tuple[Published, ...] = ()
    unchanged: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    faulty: frozenset[str] = frozenset()
    pinned: tuple[str, ...] = ()
    held_back: tuple[str, ...] = ()
    complete: bool = False
    problems: tuple[str, ...] = ()
    source_failed: bool = False
    read_seconds: float = 0.0
    expectations: Mapping[Truth, int] = field(default_factory=dict)
    closed: tuple[str, ...] = ()
    isolated: tuple[str, ...] = ()

    @property
    def errors(self) -> tuple[Fault, ...]:
        """The faults that keep a tenant from being published."""
        return tuple(fault for fault in self.faults if fault.severity is Severity.ERROR)

    @property
    def error(self) -> str:
        """All failures, as one line; empty after a success."""
        return "; ".join((*self.problems, *self.held_back))


@dataclass(frozen=True, slots=True)
class RemovalGuard:
    """The limit above which removals are held back: an empty reading of a broken source must not open every line.

    Attributes:
        fraction: of the previous members, 0 to 1; removing more at once is held back. 1: nothing is held back.
    """

    fraction: float = DEFAULT_MAX_REMOVAL

    def holds_back(self, before: int, gone: int, left: int) -> bool:
        """Whether removing ``gone`` of ``before`` is held back. One may always go, unless none would be left."""
        if gone <= 0 or self.fraction >= 1:
            return False
        return left == 0 or (gone > 1 and gone > self.fraction * before)


class Synchronizer:
    """Keeps the published rules equal to the definitions of a source.

    Args:
        source: the source of the definitions.
        publisher: publishes the compiled snapshots.
        secret: the deployment's key, for passwords and signatures; None: snapshots hold neither.
        password_override: where a user's own password replaces a permission's.
        guard: holds back removals that are too large to be believed; None: none.
        accept_removal: an operator confirmed the removals of the first cycle that succeeds.
        limits: cost limits of one profile; None: the compiler's default.
        progress: called with a tenant's name, users done and users there are, while a tenant is compiled.
        prove: whether a tenant whose expectations fail is left unchanged.
        isolate_faults: whether the sound permissions of a tenant are published whose other ones have faults; those are
            closed: a deny denies everything, an allow allows nothing.
    """

    def __init__(  # noqa: PLR0913 - each is a choice of who composes a program
        self,
        source: Source,
        publisher: Publisher,
        *,
        secret: bytes | None,
        password_override: PasswordOverride,
        guard: RemovalGuard | None = None,
        accept_removal: bool = False,
        limits: Limits | None = None,
        progress: Callable[[str, int, int], None] | None = None,
        prove: bool = True,
        isolate_faults: bool = False,
    ) -> None:
        self._isolate_faults = isolate_faults
        self._source = source
        self._publisher = publisher
        self._secret = secret
        self._password_override = password_override
        self._guard = guard
        self._accepting = accept_removal
        self._limits = limits
        self._progress = progress
        self._compilers: dict[str, Compiler] = {}
        self._digesters: dict[str, Digester] = {}
        self._proofs = Proofs(source)
        self._prove = prove

    def sync(self) -> SyncReport:
        """One cycle. What fails is in the report, and is tried again by the next cycle."""
        begun = time.perf_counter()
        try:
            reading = self._source.read()
            if self._prove:
                reading = self._proofs.checked(reading)
        except SourceError as error:
            return SyncReport(problems=(str(error),), source_failed=True, read_seconds=time.perf_counter() - begun)
        cycle = _Cycle(reading, time.perf_counter() - begun, {truth: self._proofs.count(truth) for truth in Truth})
        try:
            standing = self._publisher.standing()
        except PublishError as error:
            cycle.problems.append(str(error))
            return cycle.report()
        expected = dict.fromkeys(reading.faulty, 1) | dict.fromkeys((tenant.uuid for tenant in reading.tenants), 0)
        try:
            self._publisher.list_tenants(expected, complete=reading.complete)
            for tenant in reading.tenants:
                self._publish(tenant, standing.get(tenant.uuid, Standing()), cycle)
            for faulty in reading.shut:
                self._shut(faulty, standing.get(faulty.closed.uuid, Standing()), cycle)
            self._remove_gone(reading, standing, cycle)
            self._publisher.list_tenants(expected, complete=reading.complete)
        except PublishError as error:  # what one tenant met, the next would: the next cycle goes on from here
            cycle.problems.append(str(error))
        self._forget(reading)
        if reading.complete and not cycle.problems:
            self._accepting = False
        return cycle.report()

    def run(self, stop: threading.Event, on_report: Callable[[SyncReport], None], lease: Lease | None = None) -> None:
        """A cycle now and whenever the source may have changed, until ``stop`` is set.

        Args:
            stop: ends the cycles soon after being set.
            on_report: called with the report of each cycle.
            lease: this loader's claim to lead; a loader that does not lead reads and publishes nothing.
        """
        while lease is None or lease.wait(stop):
            self._sync_until_published(stop, on_report, lease)
            for _ in self._source.watch(stop):
                if stop.is_set():
                    return
                if lease is not None and not lease.leading:
                    break
                self._sync_until_published(stop, on_report, lease)
            else:
                return

    def _sync_until_published(
        self, stop: threading.Event, on_report: Callable[[SyncReport], None], lease: Lease | None
    ) -> None:
        """Runs a cycle, repeated soon after a failed publication: no change announces those definitions again."""
        report = self.sync()
        on_report(report)
        delay = _RETRY[0]
        while report.problems and not report.source_failed and not stop.wait(delay):
            if lease is not None and not lease.leading:
                return
            report = self.sync()
            on_report(report)
            delay = min(delay * 2, _RETRY[1])

    def _shut(self, faulty: FaultyTenant, standing: Standing, cycle: _Cycle) -> None:
        """Publishes a tenant with faults: the sound permissions, or a closed tenant where no good rules stand."""
        current = standing.current
        if self._isolate_faults and faulty.isolated is not None:
            self._publish(faulty.isolated, standing, cycle)
            cycle.isolated.append(faulty.closed.uuid)
        elif current is None or current.closed:
            self._publish(faulty.closed, standing, cycle)
            cycle.closed.append(faulty.closed.uuid)

    def _publish(self, tenant: Tenant, standing: Standing, cycle: _Cycle) -> None:
        digest, current = self._digest(tenant), standing.current
        if current is not None and current.pinned:
            cycle.pinned.append(tenant.uuid)
            return
        if current is not None and current.revision.digest == digest:
            cycle.unchanged.append(tenant.uuid)
            return
        permissions = len(tenant.call_permissions)
        lost = current.permissions - permissions if current is not None else 0
        if current is not None and self._holds_back(current.permissions, lost, permissions):
            name = tenant.name or tenant.uuid
            cycle.held_back.append(
                f"tenant {name} would go from {current.permissions} permissions to {permissions}; "
                "if that is meant, confirm it with --accept-removal"
            )
            return
        revision = Revision(standing.next_serial(), digest)
        begun = time.perf_counter()
        blob = self._compile(tenant, revision)
        compiled = time.perf_counter()
        self._publisher.publish(Pointer.to(tenant.uuid, revision, permissions, tenant.closed), blob, standing)
        seconds, publish_seconds = compiled - begun, time.perf_counter() - compiled
        cycle.published.append(
            Published(tenant.uuid, tenant.name, revision, permissions, len(blob), seconds, publish_seconds)
        )

    def _compile(self, tenant: Tenant, revision: Revision) -> bytes:
        compiler = self._compilers.get(tenant.uuid)
        if compiler is None:
            compiler = Compiler(secret=self._secret, password_override=self._password_override, limits=self._limits)
            self._compilers[tenant.uuid] = compiler
        return compiler.compile(tenant, revision, compiled_at=time.time(), progress=self._progress_of(tenant))

    def _remove_gone(self, reading: Reading, standing: Mapping[str, Standing], cycle: _Cycle) -> None:
        """Removes the tenants that are gone from the source, unless ``guard`` holds the removals back."""
        there = {uuid for uuid, stands in standing.items() if stands.current or stands.listed}
        gone = sorted(there - {tenant.uuid for tenant in reading.tenants} - reading.faulty) if reading.complete else []
        cycle.pinned += (uuid for uuid in gone if _pinned(standing[uuid]))
        gone = [uuid for uuid in gone if not _pinned(standing[uuid])]
        left = len(reading.tenants) + len(reading.faulty)
        if self._holds_back(len(there), len(gone), left):
            cycle.held_back.append(
                f"{len(gone)} of {len(there)} tenants are gone from {self._source.name}; "
                "if that is meant, confirm it with --accept-removal"
            )
            return
        for uuid in gone:
            self._publisher.remove(Pointer.to_nothing(uuid, standing[uuid].next_serial()), standing[uuid])
            cycle.removed.append(uuid)

    def _holds_back(self, before: int, gone: int, left: int) -> bool:
        return self._guard is not None and not self._accepting and self._guard.holds_back(before, gone, left)

    def _digest(self, tenant: Tenant) -> str:
        """The digest of a tenant's content; unchanged parts are not digested again."""
        digester = self._digesters.get(tenant.uuid)
        if digester is None:
            digester = Digester(secret=self._secret, password_override=self._password_override)
            self._digesters[tenant.uuid] = digester
        return digester.digest(tenant)

    def _forget(self, reading: Reading) -> None:
        """Drops the memory of tenants that are gone."""
        if reading.complete:
            there = {tenant.uuid for tenant in reading.tenants} | reading.faulty
            for uuid in self._digesters.keys() - there:
                del self._digesters[uuid]
                self._compilers.pop(uuid, None)

    def _progress_of(self, tenant: Tenant) -> Callable[[int, int], None] | None:
        progress = self._progress
        if progress is None:
            return None
        return lambda done, total: progress(tenant.name or tenant.uuid, done, total)


@dataclass
class _Cycle:
    """The results of a cycle so far."""

    reading: Reading
    read_seconds: float
    expectations: dict[Truth, int]
    published: list[Published] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    pinned: list[str] = field(default_factory=list)
    held_back: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    isolated: list[str] = field(default_factory=list)

    def report(self) -> SyncReport:
        """The cycle's outcome."""
        return SyncReport(
            published=tuple(self.published),
            unchanged=tuple(self.unchanged),
            removed=tuple(self.removed),
            faults=self.reading.faults,
            faulty=self.reading.faulty,
            pinned=tuple(self.pinned),
            held_back=tuple(self.held_back),
            complete=self.reading.complete,
            problems=tuple(self.problems),
            read_seconds=self.read_seconds,
            expectations=self.expectations,
            closed=tuple(self.closed),
            isolated=tuple(self.isolated),
        )


def _pinned(standing: Standing) -> bool:
    return standing.current is not None and standing.current.pinned
