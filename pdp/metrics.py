"""What the server counts and measures, in a registry of its own. The list for people: docs/metrics.md."""

from __future__ import annotations

import time
from itertools import accumulate, product
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client import CollectorRegistry, Counter, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from pdp.rules.model import Decision, Stage
from pdp.tally import BUCKETS, Tallies, outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pdp.current import CurrentSnapshots, Held

MAX_TENANT_SERIES = 50
"""With more tenants than these, snapshots are told of together: a series for each would swamp who scrapes them."""


class Description(NamedTuple):
    """What a metric is."""

    labels: tuple[str, ...]
    help: str


METRICS = {
    "rightcall_decisions_total": Description(("decision", "stage"), "Calls decided, by decision and deciding stage."),
    "rightcall_check_duration_seconds": Description((), "Time to decide one call and make its answer."),
    "rightcall_grpc_requests_total": Description(("method", "code"), "gRPC requests answered, by status code."),
    "rightcall_challenges_total": Description(("result",), "Passwords sent to AnswerChallenge, and what came of them."),
    "rightcall_decision_log_entries_total": Description(
        ("result",), "Entries of the decision log: written, or lost and why."
    ),
    "rightcall_lockouts_total": Description((), "Callers locked out after too many wrong passwords."),
    "rightcall_auth_failures_total": Description(("reason",), "Calls refused because of who asked, or what of."),
    "rightcall_rejected_total": Description(("reason",), "Calls refused because there were too many."),
    "rightcall_worker_restarts_total": Description((), "Worker processes that ended by themselves and were replaced."),
    "rightcall_tenants": Description((), "Tenants that the server answers for."),
    "rightcall_snapshot_revision": Description(("tenant",), "Number of the revision that decides a tenant's calls."),
    "rightcall_snapshot_age_seconds": Description(("tenant", "source"), "Time since the loader compiled the revision."),
    "rightcall_snapshot_bytes": Description(("tenant",), "Size of the compiled rules in memory."),
    "rightcall_snapshot_permissions": Description(("tenant",), "Permissions in the compiled rules."),
    "rightcall_source_contact_age_seconds": Description((), "Time since the source of rules was last reached."),
    "rightcall_reloads_total": Description(
        ("source", "result", "cause"), "Attempts to take over changed rules, and what came of them."
    ),
    "rightcall_redis_up": Description((), "1 while Redis answers; absent where the server does not follow one."),
    "rightcall_build_info": Description(("version",), "Always 1; the label tells the server's version."),
}
"""Every metric of our own; those of the process are prometheus_client's."""


CHALLENGE_RESULTS = (
    "passed",
    "wrong",
    "locked",
    "allowed",
    "denied",
    "expired",
    "used",
    "invalid",
    "behind",
    "unavailable",
)
"""What can come of a password: docs/challenges.md says what each means."""


AUTH_FAILURES = (
    "missing",
    "malformed",
    "unknown",
    "expired",
    "signature",
    "claims",
    "keys",
    "certificate",
    "service",
    "tenant",
)
"""Why a call was refused because of who asked: docs/metrics.md says what each means."""

REJECTIONS = ("rate", "concurrency", "overload")
"""Why a call was one too many."""


class Metrics:
    """Counts what the server does, and tells what it holds when it is asked.

    Args:
        current: the snapshots to tell of.
        version: the server's own.

    Attributes:
        registry: what ``/metrics`` shows.
        tallies: what is counted for each call, by each thread for itself.
    """

    def __init__(self, current: CurrentSnapshots, version: str) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self._state = _StateCollector(current, version)
        self.registry.register(self._state)
        ProcessCollector(registry=self.registry)
        self.tallies = Tallies()
        self.registry.register(_TallyCollector(self.tallies))
        self._reloads = self._counter("rightcall_reloads_total")
        logged = self._counter("rightcall_decision_log_entries_total")
        self._logged = {result: logged.labels(result) for result in ("written", "dropped", "failed")}
        challenges = self._counter("rightcall_challenges_total")
        self._challenges = {result: challenges.labels(result) for result in CHALLENGE_RESULTS}
        self._lockouts = self._counter("rightcall_lockouts_total")

        failures = self._counter("rightcall_auth_failures_total")
        self._auth_failures = {reason: failures.labels(reason) for reason in AUTH_FAILURES}
        self._restarts = self._counter("rightcall_worker_restarts_total")

    def decided(self, decision: Decision, stage: Stage, seconds: float) -> None:
        """A call was decided, and that took so long."""
        self.tallies.mine().decided(decision, stage, seconds)

    def requested(self, method: str, code: str) -> None:
        """A gRPC request was answered.

        Args:
            method: without its service, as in ``CheckCall``.
            code: the status code's name, as in ``OK``.
        """
        self.tallies.mine().requested(method, code)

    def logged(self, result: str, count: int) -> None:
        """Entries of the decision log were written, or not.

        Args:
            result: ``written``; ``dropped`` where the queue was full; ``failed`` where they could not be written.
            count: how many.
        """
        self._logged[result].inc(count)

    def challenged(self, result: str) -> None:
        """A password was sent.

        Args:
            result: what came of it, one of ``CHALLENGE_RESULTS``.
        """
        self._challenges[result].inc()

    def locked_out(self) -> None:
        """A caller gave one wrong password too many."""
        self._lockouts.inc()

    def auth_failed(self, reason: str) -> None:
        """A call was refused because of who asked, for one of ``AUTH_FAILURES``."""
        self._auth_failures[reason].inc()

    def rejected(self, reason: str) -> None:
        """A call was one too many, for one of ``REJECTIONS``."""
        self.tallies.mine().rejected(reason)

    def worker_restarted(self) -> None:
        """A worker process ended by itself, and another one takes its place."""
        self._restarts.inc()

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


class _TallyCollector(Collector):
    """What is counted for each call, added up at each scrape."""

    def __init__(self, tallies: Tallies) -> None:
        self._tallies = tallies

    def collect(self) -> Iterable[CounterMetricFamily | HistogramMetricFamily]:
        """The counters and the histogram, as prometheus_client asks for them."""
        total = self._tallies.total()
        decisions = _counter_family("rightcall_decisions_total")
        # Every series is there beforehand: a rate over a series that begins at its first event misses that event.
        for decision, stage in product(Decision, Stage):
            if stage is not Stage.NONE or decision is Decision.ALLOW:
                labels = decision.name.lower(), stage.name.lower()
                decisions.add_metric(labels, total.decisions[outcome(decision, stage)])
        yield decisions
        name = "rightcall_check_duration_seconds"
        bounds = [*map(floatToGoString, BUCKETS), "+Inf"]
        counts = zip(bounds, accumulate(total.buckets), strict=True)
        yield HistogramMetricFamily(name, METRICS[name].help, buckets=list(counts), sum_value=total.seconds)
        requests = _counter_family("rightcall_grpc_requests_total")
        for labels, count in sorted(total.requests.items()):
            requests.add_metric(labels, count)
        yield requests
        rejections = _counter_family("rightcall_rejected_total")
        for reason in REJECTIONS:
            rejections.add_metric((reason,), total.rejections.get(reason, 0))
        yield rejections


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
        yield _gauge("rightcall_source_contact_age_seconds", {(): time.time() - self._current.contacted_at})
        if self.redis_up is not None:
            yield _gauge("rightcall_redis_up", {(): self.redis_up})
        yield from _by_tenant(held) if len(held) <= MAX_TENANT_SERIES else _together(held)


def _by_tenant(held: list[Held]) -> Iterable[GaugeMetricFamily]:
    now = time.time()
    snapshots = {(one.snapshot.tenant,): one.snapshot for one in held}
    yield _gauge("rightcall_snapshot_revision", {key: one.revision.number for key, one in snapshots.items()})
    ages: dict[tuple[str, ...], float] = {
        (one.snapshot.tenant, one.origin): now - one.snapshot.compiled_at for one in held
    }
    yield _gauge("rightcall_snapshot_age_seconds", ages)
    yield _gauge("rightcall_snapshot_bytes", {key: one.size for key, one in snapshots.items()})
    yield _gauge("rightcall_snapshot_permissions", {key: one.counts.permissions for key, one in snapshots.items()})


def _together(held: list[Held]) -> Iterable[GaugeMetricFamily]:
    """The age of the oldest and the sums of the others; revisions of different tenants have nothing to say together."""
    snapshots = [one.snapshot for one in held]
    oldest = min(snapshot.compiled_at for snapshot in snapshots)
    yield _gauge("rightcall_snapshot_age_seconds", {("", ""): time.time() - oldest})
    yield _gauge("rightcall_snapshot_bytes", {("",): sum(one.size for one in snapshots)})
    yield _gauge("rightcall_snapshot_permissions", {("",): sum(one.counts.permissions for one in snapshots)})


def _counter_family(name: str) -> CounterMetricFamily:
    return CounterMetricFamily(name, METRICS[name].help, labels=METRICS[name].labels)


def _gauge(name: str, values: dict[tuple[str, ...], float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, METRICS[name].help, labels=METRICS[name].labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family
