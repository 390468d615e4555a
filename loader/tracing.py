"""Spans of the loader's cycles for OpenTelemetry collectors: duration and failure of each step.

Only a loader that traces imports this module, which wraps source and publisher: a loader without tracing pays nothing.
docs/tracing.md describes each span. The span of a failed step has the log's message; rules and passwords are in none.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import StatusCode

from loader.cycle import Synchronizer
from loader.errors import LoaderError
from loader.sources.base import WrappedSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from opentelemetry.trace import Span, Tracer

    from loader.jobs import Compilation
    from loader.publishing.publish import PublishedState, Publisher
    from loader.report import SyncReport
    from loader.sources.base import Reading, Source
    from pdp.rules.model import Tenant
    from pdp.rules.publication.pointer import Pointer


class TracedSynchronizer(Synchronizer):
    """A synchronizer with a span ``sync`` for each cycle, and a span within for each step.

    Args:
        tracer: makes the spans.
        source: as of ``Synchronizer``.
        publisher: as of ``Synchronizer``.
        choices: as of ``Synchronizer``.
    """

    def __init__(self, tracer: Tracer, source: Source, publisher: Publisher, **choices: Any) -> None:
        super().__init__(_TracedSource(source, tracer), _TracedPublisher(publisher, tracer), **choices)
        self._tracer = tracer
        self._digested = 0, 0
        """Start and end of the last digest, in nanoseconds since the epoch."""

    def sync(self, patience: float | None = None) -> SyncReport:
        """One cycle. What fails is in the report, and is tried again by the next cycle."""
        with _step(self._tracer, "sync") as span:
            report = super().sync(patience)
            span.set_attributes(
                {
                    "rightcall.published": len(report.published),
                    "rightcall.unchanged": len(report.unchanged),
                    "rightcall.removed": len(report.removed),
                    "rightcall.faulty": len(report.faulty),
                    "rightcall.pinned": len(report.pinned),
                    "rightcall.held_back": len(report.held_back),
                    "rightcall.pending": len(report.pending),
                }
            )
            if report.error:
                span.set_status(StatusCode.ERROR, report.error)
            return report

    def _digest(self, tenant: Tenant) -> str:
        begun = time.time_ns()
        digest = super()._digest(tenant)
        self._digested = begun, time.time_ns()
        return digest

    def _job(self, tenant: Tenant, digest: str, standing: PublishedState) -> Compilation | None:
        job = super()._job(tenant, digest, standing)
        # Only now the tenant is known to have changed; spans of thousands of unchanged ones would be of no use.
        if job is not None:
            about = {"rightcall.tenant": tenant.uuid, "rightcall.revision": str(job.revision)}
            begun, done = self._digested
            self._tracer.start_span("digest", attributes=about, start_time=begun).end(done)
        return job

    def _compile(self, job: Compilation, checkpoint: Callable[[], None]) -> bytes:
        about = {"rightcall.tenant": job.tenant.uuid, "rightcall.revision": str(job.revision)}
        about_rules = {"rightcall.permissions": len(job.tenant.call_permissions)}
        with _step(self._tracer, "compile", **about, **about_rules) as span:
            blob = super()._compile(job, checkpoint)
            span.set_attribute("rightcall.size", len(blob))
            return blob


class _TracedSource(WrappedSource):
    """A source whose readings are spans ``fetch``."""

    def __init__(self, source: Source, tracer: Tracer) -> None:
        super().__init__(source)
        self._tracer = tracer

    def read(self) -> Reading:
        """Reads."""
        with _step(self._tracer, "fetch", **{"rightcall.source": self.name}) as span:
            reading = super().read()
            span.set_attributes(
                {
                    "rightcall.tenants": len(reading.tenants),
                    "rightcall.faults": len(reading.faults),
                    "rightcall.complete": reading.complete,
                }
            )
            return reading


class _TracedPublisher:
    """A publisher whose steps are spans ``standing``, ``list``, ``publish`` and ``remove``."""

    def __init__(self, publisher: Publisher, tracer: Tracer) -> None:
        self.name = publisher.name
        self._publisher = publisher
        self._tracer = tracer

    def standing(self) -> Mapping[str, PublishedState]:
        """Asks what stands."""
        with _step(self._tracer, "standing"):
            return self._publisher.standing()

    def list_tenants(self, expected: Mapping[str, int], *, complete: bool) -> None:
        """Lists the tenants."""
        with _step(self._tracer, "list", **{"rightcall.tenants": len(expected)}):
            self._publisher.list_tenants(expected, complete=complete)

    def publish(self, pointer: Pointer, blob: bytes, standing: PublishedState) -> None:
        """Publishes."""
        about = {"rightcall.tenant": pointer.tenant, "rightcall.revision": str(pointer.revision)}
        with _step(self._tracer, "publish", **about, **{"rightcall.size": len(blob)}):
            self._publisher.publish(pointer, blob, standing)

    def remove(self, pointer: Pointer, standing: PublishedState) -> None:
        """Removes."""
        with _step(self._tracer, "remove", **{"rightcall.tenant": pointer.tenant}):
            self._publisher.remove(pointer, standing)


@contextmanager
def _step(tracer: Tracer, name: str, **about: Any) -> Iterator[Span]:
    """A span around a step; records an exception of the step, in words only where these are meant for people."""
    with tracer.start_as_current_span(
        name, attributes=about, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield span
        except Exception as error:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(StatusCode.ERROR, str(error) if isinstance(error, LoaderError) else None)
            raise
