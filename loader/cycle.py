"""One cycle of the loader: read the source, compile the tenants whose content changed, publish them, remove those gone.

The source and the published state alone decide what is published: a cycle may be repeated at any time, by any loader,
and changes nothing without a difference.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from loader.definitions.closed import without_rules
from loader.errors import PublishError, SourceError
from loader.jobs import Compilation, Jobs
from loader.proofs import Proofs
from loader.publishing.publish import PublishedState
from loader.report import Cycle, Published, SyncReport
from loader.sources.base import FaultyTenant, ResumableSource, WrappedSource
from loader.too_costly import cost_fault
from loader.waiting import Waiting
from pdp.rules.analysis.expectations import Truth
from pdp.rules.compiler.compiler import Compiler
from pdp.rules.compiler.digest import Digester
from pdp.rules.errors import CostError
from pdp.rules.model import PasswordOverride, Revision
from pdp.rules.publication.pointer import Pointer

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from loader.publishing.lease import Lease
    from loader.publishing.publish import Publisher
    from loader.removal import RemovalGuard
    from loader.sources.base import Reading, Source
    from pdp.rules.compiler.costs import CostLimits
    from pdp.rules.model import Tenant
    from pdp.rules.snapshot.snapshot import Snapshot

_RETRY = (0.5, 15.0)
"""Seconds until what could not be published is tried again: the first time, and at most."""
_OVER = object()
"""In place of what an iterator yields: the end."""
_PATIENCE = 1.0
"""Seconds for which a cycle waits for tenants that are being compiled, before it looks for further changes."""


class Synchronizer:
    """Keeps the published rules equal to the definitions of a source.

    Args:
        source: the source of the definitions.
        publisher: publishes the compiled snapshots.
        secret: the deployment's key, for passwords and signatures; None: snapshots hold neither.
        password_override: where a user's own password replaces a permission's.
        guard: holds back removals that are too large to be believed; None: none.
        accept_removal: an operator confirmed the removals of the first cycle that succeeds.
        cost_limits: limits of a tenant's costs; None: the compiler's default.
        progress: called with a tenant's name, users done and users there are, while a tenant is compiled.
        prove: whether a tenant whose expectations fail is left unchanged.
        publish_patience: the longest wait of the publisher for another machine, in seconds.
        isolate_faults: whether the sound permissions of a tenant are published whose other ones have faults; those are
            closed: a deny denies everything, an allow allows nothing.
        published: gives the snapshots published last, to a source whose first reading is slow; None: ``run`` begins
            with a reading of everything, too.
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
        cost_limits: CostLimits | None = None,
        progress: Callable[[str, int, int], None] | None = None,
        prove: bool = True,
        isolate_faults: bool = False,
        published: Callable[[], Iterable[Snapshot]] | None = None,
        publish_patience: float = 0.0,
    ) -> None:
        self._published = published
        self.waiting = Waiting()
        self._publish_patience = publish_patience
        self._isolate_faults = isolate_faults
        self._source = source
        self._publisher = publisher
        self._secret = secret
        self._password_override = password_override
        self._guard = guard
        self._accepting = accept_removal
        self._cost_limits = cost_limits
        self._progress = progress
        self._compilers: dict[str, Compiler] = {}
        self._digesters: dict[str, Digester] = {}
        self._compilations: Jobs[Compilation] = Jobs("compile", self._work)
        self._compiled: dict[str, Compilation] = {}
        """By tenant, the last job that ended, if its snapshot is not published."""
        self._rejected: dict[str, tuple[str, CostError]] = {}
        """By tenant, the digest of rules that are too costly, and the reason: such rules are compiled once."""
        self._proofs = Proofs(source)
        self._prove = prove

    def sync(self, patience: float | None = None) -> SyncReport:
        """One cycle. What fails is in the report, and is tried again by the next cycle.

        Args:
            patience: seconds to wait for tenants that are being compiled; the next cycle publishes those that take
                longer. None: no limit.
        """
        begun = time.perf_counter()
        try:
            with self.waiting(self._source.patience):
                reading = self._source.read()
        except SourceError as error:
            return SyncReport(problems=(str(error),), source_failed=True, read_seconds=time.perf_counter() - begun)
        seconds = time.perf_counter() - begun
        if self._prove:
            reading = self._proofs.checked(reading, patience)
        cycle = Cycle(reading, seconds, {truth: self._proofs.count(truth) for truth in Truth})
        try:
            with self.waiting(self._publish_patience):
                standing = self._publisher.standing()
        except PublishError as error:
            cycle.problems.append(str(error))
            return cycle.report()
        try:
            with self.waiting(self._publish_patience):
                self._publish_all(reading, standing, cycle, patience)
        except PublishError as error:  # what one tenant met, the next would: the next cycle goes on from here
            cycle.problems.append(str(error))
        cycle.pending = tuple(sorted(self._compilations.running | self._proofs.pending))
        self._forget(reading)
        if reading.complete and not cycle.problems and not cycle.pending:
            self._accepting = False
        return cycle.report()

    def _publish_all(
        self, reading: Reading, standing: Mapping[str, PublishedState], cycle: Cycle, patience: float | None
    ) -> None:
        """Publishes the differences between a reading and the published state."""
        listed = {tenant.uuid: int(tenant.uuid in self._rejected) for tenant in reading.tenants}
        listed |= dict.fromkeys(reading.faulty, 1)
        self._publisher.list_tenants(listed, complete=reading.complete)
        for job in self._compilations.done(0.0):
            self._compiled[job.tenant.uuid] = job
        waiting: dict[str, Tenant | FaultyTenant] = {
            tenant.uuid: tenant for tenant in reading.tenants if tenant.uuid not in self._proofs.pending
        }
        waiting |= {faulty.closed.uuid: faulty for faulty in reading.shut}
        for uuid, one in waiting.items():
            self._advance(one, standing.get(uuid, PublishedState()), cycle)
        for job in self._compilations.done(patience):
            uuid = job.tenant.uuid
            if uuid in waiting:
                self._compiled[uuid] = job
                self._advance(waiting[uuid], standing.get(uuid, PublishedState()), cycle)
        self._remove_gone(reading, standing, cycle)
        listed |= {uuid: int(uuid in cycle.too_costly) for uuid in self._rejected if uuid in listed}
        self._publisher.list_tenants(listed, complete=reading.complete)

    def _advance(self, one: Tenant | FaultyTenant, standing: PublishedState, cycle: Cycle) -> None:
        """Does what can be done for a tenant without waiting."""
        if isinstance(one, FaultyTenant):
            self._shut(one, standing, cycle)
            return
        try:
            self._publish(one, standing, cycle)
        except CostError as error:
            cycle.too_costly[one.uuid] = cost_fault(self._source, one, error)
            self._shut(FaultyTenant(without_rules(one, 1)), standing, cycle)

    def run(self, stop: threading.Event, on_report: Callable[[SyncReport], None], lease: Lease | None = None) -> None:
        """A cycle now and whenever the source may have changed, until ``stop`` is set.

        Args:
            stop: ends the cycles soon after being set.
            on_report: called with the report of each cycle.
            lease: this loader's claim to lead; a loader that does not lead reads and publishes nothing.
        """
        while lease is None or lease.wait(stop):
            if not self._follow(stop, on_report, lease):
                return

    def _follow(self, stop: threading.Event, on_report: Callable[[SyncReport], None], lease: Lease | None) -> bool:
        """Runs cycles until the stop, or until the lead is lost; returns whether that was lost."""
        source = self._source.innermost if isinstance(self._source, WrappedSource) else self._source
        if self._published is not None and isinstance(source, ResumableSource):
            source.resume(self._published)
        watch = self._source.watch(stop)  # before the first reading, which may be long, and which the stop ends, too
        self._sync_until_published(stop, on_report, lease)
        while self._next(watch):
            if stop.is_set():
                return False
            if lease is not None and not lease.leading:
                return True
            self._sync_until_published(stop, on_report, lease)
        return False

    def _next(self, watch: Iterator[None]) -> bool:
        """Waits until the source may have changed; False at the end of the watch."""
        with self.waiting(self._source.patience):
            return next(watch, _OVER) is not _OVER

    def working(self) -> Sequence[threading.Thread]:
        """The threads that compile and prove; none while there is nothing of that."""
        return [*self._compilations.threads(), *self._proofs.threads()]

    def _sync_until_published(
        self, stop: threading.Event, on_report: Callable[[SyncReport], None], lease: Lease | None
    ) -> None:
        """Runs a cycle, repeated soon while anything is not published: no change announces those definitions again."""
        report = self.sync(_PATIENCE)
        on_report(report)
        delay = _RETRY[0]
        while (report.problems or report.pending) and not report.source_failed:
            with self.waiting(delay):
                stop.wait(delay)
            if stop.is_set() or (lease is not None and not lease.leading):
                return
            report = self.sync(_PATIENCE)
            on_report(report)
            delay = min(delay * 2, _RETRY[1]) if report.problems else _RETRY[0]

    def _shut(self, faulty: FaultyTenant, standing: PublishedState, cycle: Cycle) -> None:
        """Publishes a tenant with faults: the sound permissions, or a closed tenant where no good rules stand."""
        current = standing.current
        if self._isolate_faults and faulty.isolated is not None:
            self._publish(faulty.isolated, standing, cycle)
            cycle.isolated.add(faulty.closed.uuid)
        elif current is None or current.closed:
            self._publish(faulty.closed, standing, cycle)
            cycle.closed.add(faulty.closed.uuid)

    def _publish(self, tenant: Tenant, standing: PublishedState, cycle: Cycle) -> None:
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
        job = self._job(tenant, digest, standing)
        if job is None:
            return
        begun = time.perf_counter()
        self._publisher.publish(Pointer.to(tenant.uuid, job.revision, permissions, tenant.closed), job.blob, standing)
        del self._compiled[tenant.uuid]
        seconds = time.perf_counter() - begun
        cycle.published.append(
            Published(tenant.uuid, tenant.name, job.revision, permissions, len(job.blob), job.seconds, seconds)
        )

    def _job(self, tenant: Tenant, digest: str, standing: PublishedState) -> Compilation | None:
        """The job that compiled a tenant; None while there is none, which is begun if none runs.

        Raises:
            CostError: the rules would take too long to compile or to decide by.
        """
        job = self._compiled.get(tenant.uuid)
        if job is not None and job.revision.digest == digest:
            if job.error is None and job.revision.number > standing.serial:
                return job
            del self._compiled[tenant.uuid]
            if isinstance(job.error, CostError):
                self._rejected[tenant.uuid] = digest, job.error
            elif job.error is not None:
                raise job.error
        rejected, error = self._rejected.get(tenant.uuid, ("", None))
        if error is not None and rejected == digest:
            raise error
        if tenant.uuid not in self._compilations.running:
            self._compilations.begin(Compilation(tenant=tenant, revision=Revision(standing.next_serial(), digest)))
        return None

    def _work(self, job: Compilation, checkpoint: Callable[[], None]) -> None:
        job.blob = self._compile(job, checkpoint)

    def _compile(self, job: Compilation, checkpoint: Callable[[], None]) -> bytes:
        """Compiles a tenant, on a thread of ``Compilations``."""
        tenant = job.tenant
        return self._compilers.setdefault(
            tenant.uuid,
            Compiler(secret=self._secret, password_override=self._password_override, cost_limits=self._cost_limits),
        ).compile(
            tenant,
            job.revision,
            compiled_at=time.time(),
            progress=self._progress_of(tenant),
            checkpoint=checkpoint,
        )

    def _remove_gone(self, reading: Reading, standing: Mapping[str, PublishedState], cycle: Cycle) -> None:
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
            there = {tenant.uuid for tenant in reading.tenants} | reading.faulty | self._compilations.running
            for uuid in self._digesters.keys() - there:
                for memory in (self._digesters, self._compilers, self._compiled, self._rejected):
                    memory.pop(uuid, None)

    def _progress_of(self, tenant: Tenant) -> Callable[[int, int], None] | None:
        progress = self._progress
        if progress is None:
            return None
        return lambda done, total: progress(tenant.name or tenant.uuid, done, total)


def _pinned(standing: PublishedState) -> bool:
    return standing.current is not None and standing.current.pinned
