"""The loader's metrics, in a separate registry. The list for people: docs/metrics.md."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from loader.faults import Severity
from loader.metrics.catalog import METRICS, OUTCOMES
from pdp.rules.analysis.expectations import Truth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from loader.report import SyncReport

BUCKETS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
"""Upper bounds of the histograms, in seconds: from an edit of a small tenant to the first cycle of a large one."""


class LoaderMetrics:
    """Counts the results of the loader's cycles. One thread writes, any number may read.

    Args:
        version: the loader's version.
        leading: whether this loader leads.
        stale: gives the seconds for which a change of the source may be unknown here.
        stuck: whether a thread of this loader is stuck.

    Attributes:
        registry: the registry of ``/metrics``.
        last_success: end of the last successful cycle, in Unix time; 0 before the first.
        problem: the failure of the last cycle in words; empty after a success.
    """

    def __init__(
        self,
        version: str,
        leading: Callable[[], bool],
        stale: Callable[[], float] = lambda: 0.0,
        stuck: Callable[[], bool] = lambda: False,
    ) -> None:
        # When a counter was made, a second series for each counter: that of the process is enough.
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call] # prometheus_client
        self.registry = CollectorRegistry(auto_describe=True)
        self.last_success = 0.0
        self.problem = ""
        self._stuck = stuck
        self._state = _StateCollector(version, leading, stale, stuck)
        self.registry.register(self._state)
        ProcessCollector(registry=self.registry)
        cycles = Counter(*self._described("rightcall_loader_cycles_total"), registry=self.registry)
        # Every series is there beforehand: a rate over a series that begins at its first event misses that event.
        self._cycles = {outcome: cycles.labels(*outcome) for outcome in OUTCOMES}
        self._published = Counter(*self._described("rightcall_loader_published_total"), registry=self.registry)
        self._removed = Counter(*self._described("rightcall_loader_removed_total"), registry=self.registry)
        self._read = self._histogram("rightcall_loader_read_seconds")
        self._compile = self._histogram("rightcall_loader_compile_seconds")
        self._publish = self._histogram("rightcall_loader_publish_seconds")
        name = "rightcall_loader_last_success_timestamp_seconds"
        Gauge(*self._described(name), registry=self.registry).set_function(lambda: self.last_success)

    @property
    def alive(self) -> bool:
        """Whether no thread is stuck."""
        return not self._stuck()

    def note(self, report: SyncReport) -> None:
        """Counts the results of a cycle."""
        outcome = _outcome(report)
        self._cycles[outcome].inc()
        if not report.source_failed:
            self._read.observe(report.read_seconds)
        for published in report.published:
            self._compile.observe(published.seconds)
            self._publish.observe(published.publish_seconds)
        self._published.inc(len(report.published))
        self._removed.inc(len(report.removed))
        self.problem = "; ".join(report.problems)
        if not self.problem:
            self.last_success = time.time()
            self._state.report = report

    def _histogram(self, name: str) -> Histogram:
        return Histogram(*self._described(name), registry=self.registry, buckets=BUCKETS)

    @staticmethod
    def _described(name: str) -> tuple[str, str, tuple[str, ...]]:
        return name, METRICS[name].help, tuple(METRICS[name].labels)


def _outcome(report: SyncReport) -> tuple[str, str]:
    """One of ``OUTCOMES``: what keeps most from being published."""
    if report.source_failed:
        return "failure", "source"
    if report.problems:
        return "failure", "publish"
    if report.held_back:
        return "partial", "held_back"
    if report.errors:
        return "partial", "faults"
    return "success", ""


class _StateCollector(Collector):
    """Gauges whose values are read at each scrape.

    The gauges of definitions are reported only while this loader leads: an earlier reading is old.
    """

    def __init__(
        self, version: str, leading: Callable[[], bool], stale: Callable[[], float], stuck: Callable[[], bool]
    ) -> None:
        self._version = version
        self._leading = leading
        self._stale = stale
        self._stuck = stuck
        self.report: SyncReport | None = None

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The gauges, in the form of prometheus_client's collectors."""
        yield _gauge("rightcall_build_info", {(self._version,): 1})
        yield _gauge("rightcall_loader_stuck", {(): self._stuck()})
        leading = self._leading()
        yield _gauge("rightcall_loader_leading", {(): leading})
        if leading:
            yield _gauge("rightcall_loader_source_staleness_seconds", {(): self._stale()})
        report = self.report
        if not leading or report is None:
            return
        errors = len(report.errors)
        counts: dict[tuple[str, ...], float] = {
            (Severity.ERROR,): errors,
            (Severity.WARNING,): len(report.faults) - errors,
        }
        yield _gauge("rightcall_loader_faults", counts)
        expectations: dict[tuple[str, ...], float] = {
            (truth.value,): report.expectations.get(truth, 0) for truth in Truth
        }
        yield _gauge("rightcall_loader_expectations", expectations)
        yield _gauge("rightcall_loader_faulty_tenants", {(): len(report.faulty)})
        yield _gauge("rightcall_loader_held_back", {(): len(report.held_back)})
        yield _gauge("rightcall_loader_pinned_tenants", {(): len(report.pinned)})


def _gauge(name: str, values: Mapping[tuple[str, ...], float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, METRICS[name].help, labels=tuple(METRICS[name].labels))
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family
