"""Loader and server in one process, without Redis: rules go from a source straight to the current snapshots."""

from __future__ import annotations

import secrets as random_secrets
import threading
import time
from typing import TYPE_CHECKING

import structlog

from loader.cycle import Synchronizer
from loader.publishing.publish import PublishedState
from pdp.rules.publication.pointer import Pointer
from pdp.rules.snapshot.snapshot import decode
from pdp.snapshots.priority import stand_back
from rightcall.programs.loader_watch import LoaderWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from loader.report import SyncReport
    from loader.sources.base import Source
    from pdp.metrics.registry import Metrics
    from pdp.rules.model import PasswordOverride
    from pdp.rules.snapshot.snapshot import Snapshot
    from pdp.snapshots.current import CurrentSnapshots
    from pdp.snapshots.disk import SnapshotStore

_log = structlog.get_logger()

_SECRET_SIZE = 32


class CurrentPublisher:
    """Publishes into the current snapshots of this very process, and into the store on disk, if any.

    Args:
        current: the snapshots of this process.
        metrics: counts loads.
        secret: the key that snapshots and pointers are signed with.
        store: keeps the last good rules; None: nothing is kept.
    """

    def __init__(
        self, current: CurrentSnapshots, metrics: Metrics, secret: bytes, store: SnapshotStore | None = None
    ) -> None:
        self.name = current.source
        self._current = current
        self._metrics = metrics
        self._secret = secret
        self._store = store

    def standing(self) -> Mapping[str, PublishedState]:
        """The published states in this process."""
        return {held.snapshot.tenant: _standing(held.snapshot) for held in self._current.held()}

    def list_tenants(self, expected: Mapping[str, int], *, complete: bool) -> None:
        """Does nothing: no tenant can be lost between loader and server in one process."""

    def publish(self, pointer: Pointer, blob: bytes, standing: PublishedState) -> None:
        """Opens the snapshot and makes that current."""
        del standing
        snapshot = decode(blob)
        self._current.replace(snapshot, "definitions")
        self._metrics.synced(snapshot.compiled_at)
        if self._store is not None and not snapshot.closed:  # closed tenants are closed anew at each start
            self._store.save(pointer, pointer.dump(self._secret), blob)

    def remove(self, pointer: Pointer, standing: PublishedState) -> None:
        """Forgets a tenant."""
        del standing
        self._current.remove(pointer.tenant)
        if self._store is not None:
            self._store.save(pointer, pointer.dump(self._secret), None)


class EmbeddedLoader:
    """Keeps the current snapshots equal to a source, in a separate thread.

    Args:
        source: the source of the definitions.
        current: the snapshots of this process.
        metrics: counts loads and faults.
        password_override: where a user's own password replaces a permission's.
        secret: the key that passwords are hashed with; None: one that lives and dies with this process.
        store: keeps the last good rules on disk for the next start; None: nothing is kept.
        isolate_faults: as of ``Synchronizer``.
        synchronizer: makes the synchronizer that runs the cycles.
    """

    def __init__(
        self,
        source: Source,
        current: CurrentSnapshots,
        metrics: Metrics,
        *,
        password_override: PasswordOverride,
        secret: bytes | None = None,
        store: SnapshotStore | None = None,
        isolate_faults: bool = False,
        synchronizer: Callable[..., Synchronizer] = Synchronizer,
    ) -> None:
        self._current = current
        current.unread_seconds = source.stale_seconds
        self._metrics = metrics
        key = secret or random_secrets.token_bytes(_SECRET_SIZE)
        self._store = store
        self._whole = False
        """Whether all tenants of the source were read once: from then on none is missing here."""
        self._synchronizer = synchronizer(
            source,
            CurrentPublisher(current, metrics, key, store),
            secret=key,
            password_override=password_override,
            isolate_faults=isolate_faults,
        )
        self._last = ""
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def load(self) -> SyncReport:
        """Loads once, now: first the kept rules, then the source."""
        for pointer, snapshot, error in self._store.load() if self._store else ():
            if error is not None:
                self._metrics.reload("disk", "failure", "unusable")
                _log.error("stored_rules_refused", tenant=pointer.tenant, problem=str(error))
            elif snapshot is not None:
                self._current.replace(snapshot, "disk")
                self._metrics.reload("disk", "success")
        report = self._synchronizer.sync()
        self._note(report)
        return report

    def start(self, on_report: Callable[[SyncReport], None]) -> None:
        """Loads again whenever the source changes, and reports news."""

        def note(report: SyncReport) -> None:
            if self._note(report):
                on_report(report)

        def follow() -> None:
            if self._current.answered_elsewhere:
                stand_back()
            with watch.over(threading.current_thread()):
                self._synchronizer.run(self._stop, note)

        watch = LoaderWatch(self._synchronizer, None)
        self._metrics.watch_follower(lambda: watch.stuck)
        self._thread = threading.Thread(target=follow, name="embedded-loader", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends watching. Loaded rules stay."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _note(self, report: SyncReport) -> bool:
        """Counts a report and returns whether the report holds news."""
        problem = report.error or "; ".join(map(str, report.errors[:1]))
        if len(report.errors) > 1:
            problem += f" (and {len(report.errors) - 1} more)"
        outcome = repr((report.problems, report.faults))
        news = outcome != self._last or bool(report.published or report.removed)
        self._last = outcome
        if problem and news:
            self._metrics.reload("definitions", "failure", "unreadable" if report.source_failed else "faults")
        for _ in (*report.published, *report.removed):
            self._metrics.reload("definitions", "success")
        for tenant in report.unchanged:  # what came from disk is what the source says
            held = self._current.get(tenant)
            if held is not None and held.origin == "disk":
                self._current.replace(held.snapshot, "definitions")
        self._whole = self._whole or report.complete
        self._current.set_incomplete("" if self._whole else "not all definitions could be read since the start")
        # Last, so that a reader finds the report counted.
        self._current.source_error = problem
        if not report.source_failed:
            self._current.contacted_at = time.time()
        return news


def _standing(snapshot: Snapshot) -> PublishedState:
    pointer = Pointer.to(snapshot.tenant, snapshot.revision, snapshot.counts.permissions, snapshot.closed)
    return PublishedState(serial=pointer.serial, pointer=pointer)
