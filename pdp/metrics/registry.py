"""The server's metrics, in a separate registry. The list for people: docs/metrics.md."""

from __future__ import annotations

import time
from itertools import accumulate, product
from typing import TYPE_CHECKING, Any

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from pdp.metrics.catalog import (
    AUTH_FAILURES,
    CHALLENGE_RESULTS,
    FETCHED_FORMS,
    HANDED,
    HTTP_CLOSED,
    LOG_RESULTS,
    METHODS,
    METRICS,
    REJECTIONS,
    STRANGERS,
)
from pdp.metrics.counters import BUCKETS, Counters, Durations, Refusal, outcome
from pdp.metrics.state import StateCollector
from pdp.rules.model import Decision, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pdp.metrics.state import ServerState
    from pdp.rules.snapshot.verdict import Verdict

_ONLY = {Stage.NONE: Decision.ALLOW, Stage.EMERGENCY: Decision.ALLOW, Stage.POLICY: Decision.DENY}
"""The stages that decide in one way only."""

LAG_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0)
"""Upper bounds of the time until a change is in force, in seconds."""


class Metrics:
    """Counts the server's work, and reports the server's state at a scrape.

    Args:
        current: the snapshots to report.
        version: the server's version.

    Attributes:
        registry: the metrics of ``/metrics``.
        tallies: the counters of calls, separate for each thread.
    """

    def __init__(self, current: ServerState, version: str) -> None:
        # When a counter was made, a second series for each counter: that of the process is enough.
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call] # prometheus_client
        self.registry = CollectorRegistry(auto_describe=True)
        self._began = time.time()
        self._state = StateCollector(current, version)
        self.registry.register(self._state)
        self.registry.register(ProcessCollector(registry=None))
        self.tallies = Counters()
        self.registry.register(_TallyCollector(self.tallies))
        self._reloads = self._counter("rightcall_reloads_total")
        fetched = self._counter("rightcall_fetched_bytes_total")
        self._fetched = {form: fetched.labels(form) for form in FETCHED_FORMS}
        lag = "rightcall_sync_lag_seconds"
        self._lag = Histogram(lag, METRICS[lag].help, registry=self.registry, buckets=LAG_BUCKETS)
        logged = self._counter("rightcall_decision_log_entries_total")
        self._logged = {result: logged.labels(result) for result in LOG_RESULTS}
        challenges = self._counter("rightcall_challenges_total")
        self._challenges = {result: challenges.labels(result) for result in CHALLENGE_RESULTS}
        self._lockouts = self._counter("rightcall_lockouts_total")

        failures = self._counter("rightcall_auth_failures_total")
        self._auth_failures = {reason: failures.labels(reason) for reason in AUTH_FAILURES}
        closed = self._counter("rightcall_http_closed_total")
        self._http_closed = {reason: closed.labels(reason) for reason in HTTP_CLOSED}

    def decided(self, decision: Decision, stage: Stage, seconds: float) -> None:
        """A call was decided, and that took so long."""
        self.tallies.mine().decided(decision, stage, seconds)

    def refused(self, tenant: str, verdict: Verdict) -> None:
        """A call was denied or challenged by a permission of a tenant."""
        self.tallies.mine().refused(Refusal.of(tenant, verdict))

    def unknown(self, *, caller: bool, outcall: bool) -> None:
        """A call was decided whose caller, or whose outcall, is not known."""
        if caller:
            self.tallies.mine().unknown("caller")
        if outcall:
            self.tallies.mine().unknown("outcall")

    def compared(self, tenant: str, decision: str, candidate: str) -> None:
        """A decision on a call of a tenant was compared with that of the tenant's candidate."""
        self.tallies.mine().compared(tenant, decision, candidate)

    def requested(self, method: str, code: str, seconds: float | None = None) -> None:
        """Counts an answered gRPC request.

        Args:
            method: without the service, as in ``CheckCall``.
            code: the status code's name, as in ``OK``.
            seconds: working time; None: the method did not run, or ``answered`` counts the time.
        """
        tally = self.tallies.mine()
        tally.requested(method, code)
        if seconds is not None:
            tally.answered(method, seconds)

    def answered(self, method: str, seconds: float) -> None:
        """Counts a method's working time."""
        self.tallies.mine().answered(method, seconds)

    def logged(self, result: str, count: int) -> None:
        """Counts entries of the decision log.

        Args:
            result: ``written``; ``dropped`` where the queue was full; ``failed`` where writing failed.
            count: number of entries.
        """
        self._logged[result].inc(count)

    def challenged(self, result: str) -> None:
        """Counts a password.

        Args:
            result: one of ``CHALLENGE_RESULTS``.
        """
        self._challenges[result].inc()

    def locked_out(self) -> None:
        """A caller gave one wrong password too many."""
        self._lockouts.inc()

    def auth_failed(self, reason: str) -> None:
        """Counts a call rejected by authentication or authorization, for one of ``AUTH_FAILURES``."""
        self._auth_failures[reason].inc()

    def rejected(self, reason: str) -> None:
        """A call was one too many, for one of ``REJECTIONS``."""
        self.tallies.mine().rejected(reason)

    def http_closed(self, reason: str) -> None:
        """A connection of the HTTP port was closed, for one of ``HTTP_CLOSED``."""
        self._http_closed[reason].inc()

    def watch_threads(self, stuck: Callable[[], bool]) -> None:
        """Watches over further threads that decide; any of them may be stuck."""
        others = self._state.threads_stuck
        self._state.threads_stuck = lambda: stuck() or others()

    def watch_follower(self, stuck: Callable[[], bool]) -> None:
        """Shows whether what follows the rules is stuck; decisions go on meanwhile, so the server is alive."""
        self._state.follower_stuck = stuck

    @property
    def alive(self) -> bool:
        """Whether the threads that decide do."""
        return not self._state.threads_stuck()

    def watch_http(self, connections: Callable[[], int]) -> None:
        """Adds the metrics of the HTTP port's connections."""
        self._state.http_connections = connections

    def reload(self, source: str, result: str, cause: str = "") -> None:
        """Counts an attempt to take over changed rules.

        Args:
            source: the kind of source, such as ``definitions`` or ``redis``; never its address.
            result: ``success`` or ``failure``.
            cause: of a failure, one of few words; every new one is a new series.
        """
        self._reloads.labels(source, result, cause).inc()

    def fetched(self, form: str, size: int) -> None:
        """Rules came from Redis: so many bytes, as a ``snapshot`` or as a ``delta``."""
        self._fetched[form].inc(size)

    def synced(self, since: float) -> None:
        """Measures how long changed rules took to reach this server.

        Args:
            since: when the loader began the change, in Unix time by the loader's clock. A change from before the start
                of this server is not measured.
        """
        if since >= self._began:
            self._lag.observe(max(0.0, time.time() - since))

    def redis_up(self, *, up: bool) -> None:
        """Redis answers, or does not. Until the first call there is no such metric."""
        self._state.redis_up = up

    def missing_tenants(self, count: int) -> None:
        """Sets the number of missing tenants. Before the first call there is no such metric."""
        self._state.missing_tenants = count

    def redis_replica(self, *, replica: bool) -> None:
        """Redis is a replica, or is not. Until the first call there is no such metric."""
        self._state.redis_replica = replica

    def _counter(self, name: str) -> Counter:
        return Counter(name, METRICS[name].help, tuple(METRICS[name].labels), registry=self.registry)


class _TallyCollector(Collector):
    """The counters of calls, added up at each scrape."""

    def __init__(self, tallies: Counters) -> None:
        self._tallies = tallies

    def collect(self) -> Iterable[CounterMetricFamily | HistogramMetricFamily]:
        """The counters and the histograms, for prometheus_client."""
        total = self._tallies.total()
        total.spread()
        # Every series is there beforehand: a rate over a series that begins at its first event misses that event.
        decided = {
            (decision.name.lower(), stage.name.lower()): total.decisions[outcome(decision, stage)]
            for decision, stage in product(Decision, Stage)
            if decision is _ONLY.get(stage, decision)
        }
        yield _counters("rightcall_decisions_total", decided)
        refused = {(decision, "", "", ""): 0 for decision in ("deny", "challenge")}
        refused |= {(one.decision, one.tenant, one.permission, one.name): n for one, n in total.refusals.items()}
        yield _counters("rightcall_refusals_total", refused)
        yield _histograms("rightcall_check_duration_seconds", {(): total.deciding})
        requested = {(method, "OK"): 0 for method in METHODS} | total.requests
        yield _counters("rightcall_grpc_requests_total", dict(sorted(requested.items())))
        answering = {(method,): total.answering.get(method, Durations()) for method in METHODS}
        yield _histograms("rightcall_grpc_request_duration_seconds", answering)
        rejected = {(reason,): total.rejections.get(reason, 0) for reason in REJECTIONS}
        yield _counters("rightcall_rejected_total", rejected)
        yield _counters("rightcall_core_handed_total", {(method,): total.handed.get(method, 0) for method in HANDED})
        yield _counters("rightcall_shadow_decisions_total", dict(sorted(total.shadow.items())))
        yield _counters("rightcall_unknown_total", {(part,): total.strangers.get(part, 0) for part in STRANGERS})


def _counters(name: str, values: dict[Any, int]) -> CounterMetricFamily:
    """A counter, with the value for each set of labels."""
    family = CounterMetricFamily(name, METRICS[name].help, labels=tuple(METRICS[name].labels))
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def _histograms(name: str, values: dict[Any, Durations]) -> HistogramMetricFamily:
    """A histogram, with the buckets for each set of labels."""
    family = HistogramMetricFamily(name, METRICS[name].help, labels=tuple(METRICS[name].labels))
    bounds = [*map(floatToGoString, BUCKETS), "+Inf"]
    for labels, durations in values.items():
        counts = list(zip(bounds, accumulate(durations.buckets), strict=True))
        family.add_metric(labels, counts, durations.seconds)
    return family
