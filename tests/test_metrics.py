"""What is counted and measured, and that people can read about it."""

from __future__ import annotations

from uuid import UUID

import pytest
from definitions import tenant_from
from given import ACME, BOLT, denying
from metrics_manual import documented, shown
from prometheus_client import generate_latest
from server import current_of, snapshot_of

from pdp.metrics import MAX_TENANT_SERIES, METRICS, Metrics
from pdp.rules.model import Decision, Stage
from pdp.tally import BUCKETS


def complete_metrics() -> Metrics:
    """Metrics that have seen everything."""
    metrics = Metrics(current_of(denying("1")), "1.2.3")
    metrics.decided(Decision.DENY, Stage.USER, 0.0001)
    metrics.requested("CheckCall", "OK")
    metrics.reload("redis", "failure", "corrupt")
    metrics.redis_up(up=True)
    return metrics


def test_every_metric_is_in_the_manual_and_the_manual_has_no_others() -> None:
    """Names, types and labels are those that a scrape shows."""
    manual = documented("The metrics")
    assert {name: (kind, set(labels)) for name, (kind, labels) in manual.items()} == shown(complete_metrics().registry)
    assert {name: labels for name, (_, labels) in manual.items()} == {
        name: list(description.labels) for name, description in METRICS.items()
    }


def test_every_series_of_decisions_is_there_before_the_first_decision() -> None:
    """So that no rate misses the first one."""
    metrics = Metrics(current_of(), "")
    series = [
        tuple(sample.labels.values())
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "rightcall_decisions_total"
    ]

    assert len(series) == len(set(series)) == 10
    assert ("allow", "none") in series


def test_latency_falls_into_buckets_that_fit() -> None:
    """From 25 µs to 50 ms."""
    metrics = complete_metrics()

    def count(bound: str) -> float | None:
        return metrics.registry.get_sample_value("rightcall_check_duration_seconds_bucket", {"le": bound})

    assert (BUCKETS[0], BUCKETS[-1]) == (25e-6, 50e-3)
    assert (count("7.5e-05"), count("0.0001"), count("0.05")) == (0, 1, 1)


def test_snapshots_are_told_of_by_tenant() -> None:
    """Number, size and permissions of each, and how old it is."""
    current = current_of(snapshot_of(denying("1"), number=7), denying("1", tenant=BOLT))
    value = Metrics(current, "").registry.get_sample_value
    acme = {"tenant": ACME}

    assert value("rightcall_tenants") == 2
    assert value("rightcall_source_contact_age_seconds") is not None
    assert value("rightcall_snapshot_revision", acme) == 7
    assert value("rightcall_snapshot_revision", {"tenant": BOLT}) == 1
    assert value("rightcall_snapshot_permissions", acme) == 1
    assert (value("rightcall_snapshot_bytes", acme) or 0) > 0
    assert (value("rightcall_snapshot_age_seconds", {**acme, "source": "definitions"}) or 0) > 0


def test_a_removed_tenant_is_no_longer_told_of() -> None:
    """Its series ends with it."""
    current = current_of(denying("1"))
    metrics = Metrics(current, "")
    current.remove(ACME)

    assert metrics.registry.get_sample_value("rightcall_snapshot_revision", {"tenant": ACME}) is None
    assert metrics.registry.get_sample_value("rightcall_tenants") == 0


def test_many_tenants_are_told_of_together() -> None:
    """The age of the oldest, sums of the rest, and no series for each."""
    tenants = [tenant_from({"uuid": str(UUID(int=number))}) for number in range(MAX_TENANT_SERIES)]
    current = current_of(*tenants)
    metrics = Metrics(current, "")
    value = metrics.registry.get_sample_value
    apart = value("rightcall_snapshot_bytes", {"tenant": tenants[0].uuid})
    current.replace(snapshot_of(denying("1"), compiled_at=1.0))
    together = {"tenant": ""}

    assert apart is not None
    assert value("rightcall_tenants") == MAX_TENANT_SERIES + 1
    assert value("rightcall_snapshot_bytes", {"tenant": tenants[0].uuid}) is None
    assert value("rightcall_snapshot_bytes", together) == sum(held.snapshot.size for held in current.held())
    assert value("rightcall_snapshot_permissions", together) == 1
    assert (value("rightcall_snapshot_age_seconds", {**together, "source": ""}) or 0) > 1.5e9
    assert value("rightcall_snapshot_revision", together) is None


def test_requests_and_reloads_are_counted_by_their_labels() -> None:
    """Each on its own."""
    metrics = complete_metrics()
    metrics.requested("CheckCall", "OK")
    metrics.reload("definitions", "success")
    value = metrics.registry.get_sample_value

    assert value("rightcall_grpc_requests_total", {"method": "CheckCall", "code": "OK"}) == 2
    assert value("rightcall_reloads_total", {"source": "redis", "result": "failure", "cause": "corrupt"}) == 1
    assert value("rightcall_reloads_total", {"source": "definitions", "result": "success", "cause": ""}) == 1


@pytest.mark.parametrize(("up", "shown"), [(True, 1), (False, 0)])
def test_redis_is_up_or_down_once_it_is_followed(*, up: bool, shown: int) -> None:
    """And without a Redis there is no such metric."""
    metrics = Metrics(current_of(), "")
    before = metrics.registry.get_sample_value("rightcall_redis_up")
    metrics.redis_up(up=up)

    assert before is None
    assert metrics.registry.get_sample_value("rightcall_redis_up") == shown


def test_version_and_process_are_told() -> None:
    """Two servers in one process keep their metrics apart."""
    one, other = complete_metrics(), Metrics(current_of(), "2")

    assert one.registry.get_sample_value("rightcall_build_info", {"version": "1.2.3"}) == 1
    assert other.registry.get_sample_value("rightcall_build_info", {"version": "1.2.3"}) is None
    assert b"process_resident_memory_bytes" in generate_latest(one.registry)
