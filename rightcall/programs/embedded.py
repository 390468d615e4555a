"""Loader and server in one process, without Redis: rules go from a source straight to the current snapshots."""

from __future__ import annotations

import secrets as random_secrets
import threading
import time
from typing import TYPE_CHECKING

from loader.cycle import Synchronizer
from loader.publishing.publish import Standing
from pdp.rules.publication.pointer import Pointer
from pdp.rules.snapshot.snapshot import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from loader.cycle import SyncReport
    from loader.sources.base import Source
    from pdp.metrics.registry import Metrics
    from pdp.rules.model import PasswordOverride
    from pdp.rules.snapshot.snapshot import Snapshot
    from pdp.snapshots.current import CurrentSnapshots

_SECRET_SIZE = 32


class CurrentPublisher:
    """Publishes into the current snapshots of this very process."""

    def __init__(self, current: CurrentSnapshots, metrics: Metrics) -> None:
        self.name = current.source
        self._current = current
        self._metrics = metrics

    def standing(self) -> Mapping[str, Standing]:
        """What this process answers from."""
        return {held.snapshot.tenant: _standing(held.snapshot) for held in self._current.held()}

    def list_tenants(self, expected: Mapping[str, int], *, complete: bool) -> None:
        """Nothing lies between here and what answers that a tenant could be lost in."""

    def publish(self, pointer: Pointer, blob: bytes, standing: Standing) -> None:
        """Opens the snapshot and makes it current."""
        del pointer, standing
        snapshot = decode(blob)
        self._current.replace(snapshot, "definitions", snapshot.compiled_at)
        self._metrics.synced(snapshot.compiled_at)

    def remove(self, pointer: Pointer, standing: Standing) -> None:
        """Forgets a tenant."""
        del standing
        self._current.remove(pointer.tenant)


class EmbeddedLoader:
    """Keeps the current snapshots the same as a source, in a thread of its own.

    Args:
        source: where the rules come from.
        current: where they become current.
        metrics: counts what was loaded and what was at fault.
        password_override: where a user's own password replaces a permission's.
        secret: the key that passwords are hashed with; None: one that lives and dies with this process.
        synchronizer: makes what runs the cycles.
    """

    def __init__(
        self,
        source: Source,
        current: CurrentSnapshots,
        metrics: Metrics,
        *,
        password_override: PasswordOverride,
        secret: bytes | None = None,
        synchronizer: Callable[..., Synchronizer] = Synchronizer,
    ) -> None:
        self._current = current
        self._metrics = metrics
        self._synchronizer = synchronizer(
            source,
            CurrentPublisher(current, metrics),
            secret=secret or random_secrets.token_bytes(_SECRET_SIZE),
            password_override=password_override,
        )
        self._last = ""
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def load(self) -> SyncReport:
        """Loads once, now."""
        report = self._synchronizer.sync()
        self._note(report)
        return report

    def start(self, on_report: Callable[[SyncReport], None]) -> None:
        """Loads again whenever the source changes, and tells what came of it where anything did."""

        def note(report: SyncReport) -> None:
            if self._note(report):
                on_report(report)

        self._thread = threading.Thread(
            target=self._synchronizer.run, args=(self._stop, note), name="embedded-loader", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Ends watching. What is loaded stays."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _note(self, report: SyncReport) -> bool:
        """Counts a report and tells whether it says anything that the one before did not."""
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
        # Last, so that who reads it finds it counted.
        self._current.source_error = problem
        if not report.source_failed:
            self._current.contacted_at = time.time()
        return news


def _standing(snapshot: Snapshot) -> Standing:
    pointer = Pointer.to(snapshot.tenant, snapshot.revision, snapshot.counts.permissions)
    return Standing(serial=pointer.serial, pointer=pointer)
