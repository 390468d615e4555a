"""What the server counts and measures, in a registry of its own. The list for people: docs/metrics.md."""

from __future__ import annotations

import time
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from pdp.rules.model import Decision, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pdp.current import CurrentSnapshots, Held

MAX_TENANT_SERIES = 50
"""With more tenants than these, snapshots are told of together: a series for each would swamp who scrapes them."""

BUCKETS = (25e-6, 50e-6, 75e-6, 100e-6, 150e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3)
"""Upper bounds of the latency histogram, in seconds."""


class Description(NamedTuple):
    """What a metric is."""

    labels: tuple[str, ...]
    help: str


METRICS = {
    "rightcall_decisions_total": Description(("decision", "stage"), "Calls decided, by decision and deciding stage."),
    "rightcall_check_duration_seconds": Description((), "Time to decide one call and make its answer."),
    "rightcall_grpc_requests_total": Description(("method", "code"), "gRPC requests answered, by status code."),
    "rightcall_tenants": Description((), "Tenants that the server answers for."),
    "rightcall_snapshot_revision": Description(("tenant",), "Number of the revision that decides a tenant's calls."),
    "rightcall_snapshot_age_seconds": Description(("tenant",), "Time since the loader compiled the revision."),
    "rightcall_snapshot_bytes": Description(("tenant",), "Size of the compiled rules in memory."),
    "rightcall_snapshot_permissions": Description(("tenant",), "Permissions in the compiled rules."),
    "rightcall_reloads_total": Description(
        ("source", "result", "cause"), "Attempts to take over changed rules, and what came of them."
    ),
    "rightcall_redis_up": Description((), "1 while Redis answers; absent where the server does not follow one."),
    "rightcall_build_info": Description(("version",), "Always 1; the label tells the server's version."),
}
"""Every metric of our own; those of the process are prometheus_client's."""


class Metrics:
    """Counts what the server does, and tells what it holds when it is asked.

    Args:
        current: the snapshots to tell of.
        version: the server's own.

    Attributes:
        registry: what ``/metrics`` shows.
    """

    def __init__(self, current: CurrentSnapshots, version: str) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self._state = _StateCollector(current, version)
        self.registry.register(self._state)
        ProcessCollector(registry=self.registry)
        decisions = self._counter("rightcall_decisions_total")
        # Every series is made beforehand: a rate over a series that begins at its first event misses that event.
        self._decisions = {
            (decision, stage): decisions.labels(decision.name.lower(), stage.name.lower())
            for decision, stage in product(Decision, Stage)
            if stage is not Stage.NONE or decision is Decision.ALLOW
        }
        name = "rightcall_check_duration_seconds"
        self._observe = Histogram(name, METRICS[name].help, buckets=BUCKETS, registry=self.registry).observe
        self._requests = self._counter("rightcall_grpc_requests_total")
        self._by_method: dict[tuple[str, str], Counter] = {}
        self._reloads = self._counter("rightcall_reloads_total")

    def decided(self, decision: Decision, stage: Stage, seconds: float) -> None:
        """A call was decided, and that took so long."""
        self._decisions[decision, stage].inc()
        self._observe(seconds)

    def requested(self, method: str, code: str) -> None:
        """A gRPC request was answered.

        Args:
            method: without its service, as in ``CheckCall``.
            code: the status code's name, as in ``OK``.
        """
        counter = self._by_method.get((method, code))
        if counter is None:
            counter = self._by_method[method, code] = self._requests.labels(method, code)
        counter.inc()

    def reload(self, source: str, result: str, cause: str = "") -> None:
        """Changed rules were taken over, or were not.

        Args:
            source: the kind of source, such as ``definitions`` or ``redis``; never its address.
            result: ``success`` or ``failure``.
            cause: of a failure, one of few words; every new one is a new series.
        """
        self._reloads.labels(source, result, cause).inc()

    def redis_up(self, *, up: bool) -> None:
        """Redis answers, or does not. Until the first call there is no such metric."""
        self._state.redis_up = up

    def _counter(self, name: str) -> Counter:
        return Counter(name, METRICS[name].help, METRICS[name].labels, registry=self.registry)


class _StateCollector(Collector):
    """Gauges that are read where they are at each scrape, so that none of them can be out of date."""

    def __init__(self, current: CurrentSnapshots, version: str) -> None:
        self._current = current
        self._version = version
        self.redis_up: bool | None = None

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The gauges, as prometheus_client asks for them."""
        held = self._current.held()
        yield _gauge("rightcall_build_info", {(self._version,): 1})
        yield _gauge("rightcall_tenants", {(): len(held)})
        if self.redis_up is not None:
            yield _gauge("rightcall_redis_up", {(): self.redis_up})
        yield from _by_tenant(held) if len(held) <= MAX_TENANT_SERIES else _together(held)


def _by_tenant(held: list[Held]) -> Iterable[GaugeMetricFamily]:
    now = time.time()
    snapshots = {(one.snapshot.tenant,): one.snapshot for one in held}
    yield _gauge("rightcall_snapshot_revision", {key: one.revision.number for key, one in snapshots.items()})
    yield _gauge("rightcall_snapshot_age_seconds", {key: now - one.compiled_at for key, one in snapshots.items()})
    yield _gauge("rightcall_snapshot_bytes", {key: one.size for key, one in snapshots.items()})
    yield _gauge("rightcall_snapshot_permissions", {key: one.counts.permissions for key, one in snapshots.items()})


def _together(held: list[Held]) -> Iterable[GaugeMetricFamily]:
    """The age of the oldest and the sums of the others; revisions of different tenants have nothing to say together."""
    snapshots = [one.snapshot for one in held]
    oldest = min(snapshot.compiled_at for snapshot in snapshots)
    yield _gauge("rightcall_snapshot_age_seconds", {("",): time.time() - oldest})
    yield _gauge("rightcall_snapshot_bytes", {("",): sum(one.size for one in snapshots)})
    yield _gauge("rightcall_snapshot_permissions", {("",): sum(one.counts.permissions for one in snapshots)})


def _gauge(name: str, values: dict[tuple[str, ...], float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, METRICS[name].help, labels=METRICS[name].labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family
