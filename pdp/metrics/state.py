"""Gauges of the state that a server holds, read at each scrape.

Snapshots are known by a protocol alone, so that this folder stands below the snapshots' folder.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from pdp.metrics.catalog import METRICS
from pdp.metrics.counters import MAX_NAME_LENGTH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pdp.rules.snapshot.snapshot import Snapshot

MAX_TENANT_SERIES = 50
"""Largest number of tenants with separate series; beyond, snapshots are reported together, to bound a scrape."""


class LoadedSnapshot(Protocol):
    """One tenant's loaded snapshot; ``pdp.snapshots.current`` describes the attributes."""

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot."""
        ...

    @property
    def origin(self) -> str:
        """The snapshot's source."""
        ...


class ServerState(Protocol):
    """The state of a server."""

    def held(self) -> Sequence[LoadedSnapshot]:
        """The snapshots, one a tenant."""
        ...

    @property
    def candidates(self) -> Mapping[str, Snapshot]:
        """By tenant, the revisions that decisions are compared with."""
        ...

    @property
    def contacted_at(self) -> float:
        """The last contact to the source of rules, in Unix time."""
        ...

    @property
    def unread_seconds(self) -> Callable[[], float] | None:
        """Gives the seconds for which a change of the source may be unknown; None where a loader reads it."""
        ...


class StateCollector(Collector):
    """Gauges computed at each scrape, so that none can be out of date."""

    def __init__(self, current: ServerState, version: str) -> None:
        self._current = current
        self._version = version
        self.http_connections: Callable[[], int] = int
        self.threads_stuck: Callable[[], bool] = bool
        self.follower_stuck: Callable[[], bool] = bool
        self.redis_up: bool | None = None
        self.redis_replica: bool | None = None
        self.missing_tenants: int | None = None

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The gauges, for prometheus_client."""
        held = self._current.held()
        yield _gauge("rightcall_build_info", {(self._version,): 1})
        yield _gauge("rightcall_threads_stuck", {(): self.threads_stuck()})
        yield _gauge("rightcall_follower_stuck", {(): self.follower_stuck()})
        yield _gauge("rightcall_http_connections", {(): self.http_connections()})
        yield _gauge("rightcall_tenants", {(): len(held)})
        yield _gauge("rightcall_closed_tenants", {(): sum(one.snapshot.closed > 0 for one in held)})
        candidates: dict[tuple[str, ...], float] = {
            (tenant,): one.revision.number for tenant, one in self._current.candidates.items()
        }
        yield _gauge("rightcall_shadow_revision", candidates)
        yield _gauge("rightcall_source_contact_age_seconds", {(): time.time() - self._current.contacted_at})
        if self._current.unread_seconds is not None:
            yield _gauge("rightcall_source_staleness_seconds", {(): self._current.unread_seconds()})
        if self.redis_up is not None:
            yield _gauge("rightcall_redis_up", {(): self.redis_up})
        if self.missing_tenants is not None:
            yield _gauge("rightcall_missing_tenants", {(): self.missing_tenants})
        if self.redis_replica is not None:
            yield _gauge("rightcall_redis_replica", {(): self.redis_replica})
        yield from _by_tenant(held) if len(held) <= MAX_TENANT_SERIES else _together(held)


def _by_tenant(held: Sequence[LoadedSnapshot]) -> Iterable[GaugeMetricFamily]:
    now = time.time()
    snapshots = {(one.snapshot.tenant,): one.snapshot for one in held}
    yield _gauge(
        "rightcall_tenant_info", {(*key, one.tenant_name[:MAX_NAME_LENGTH]): 1 for key, one in snapshots.items()}
    )
    yield _gauge("rightcall_snapshot_revision", {key: one.revision.number for key, one in snapshots.items()})
    ages: dict[tuple[str, ...], float] = {
        (one.snapshot.tenant, one.origin): now - one.snapshot.compiled_at for one in held
    }
    yield _gauge("rightcall_snapshot_age_seconds", ages)
    yield _gauge("rightcall_snapshot_bytes", {key: one.size for key, one in snapshots.items()})
    yield _gauge("rightcall_snapshot_permissions", {key: one.counts.permissions for key, one in snapshots.items()})


def _together(held: Sequence[LoadedSnapshot]) -> Iterable[GaugeMetricFamily]:
    """The age of the oldest and the sums of the others; revisions of different tenants have nothing to say together."""
    snapshots = [one.snapshot for one in held]
    oldest = min(snapshot.compiled_at for snapshot in snapshots)
    yield _gauge("rightcall_snapshot_age_seconds", {("", ""): time.time() - oldest})
    yield _gauge("rightcall_snapshot_bytes", {("",): sum(one.size for one in snapshots)})
    yield _gauge("rightcall_snapshot_permissions", {("",): sum(one.counts.permissions for one in snapshots)})


def _gauge(name: str, values: dict[tuple[str, ...], float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, METRICS[name].help, labels=tuple(METRICS[name].labels))
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family
