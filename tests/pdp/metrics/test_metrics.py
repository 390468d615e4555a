"""What is counted and measured, and that people can read about it."""

from __future__ import annotations

import ast
import time
from pathlib import Path
from uuid import UUID

import grpc
import pytest
from definitions import tenant_from
from given import ACME, BOLT, denying
from metrics_manual import DOCS, shown, undescribed, with_tables
from prometheus_client import generate_latest
from server import current_of, snapshot_of

from pdp.metrics.catalog import METHODS, METRICS
from pdp.metrics.counters import BUCKETS, MAX_NAME_LENGTH, MAX_REFUSALS, ThreadCounters
from pdp.metrics.registry import Metrics
from pdp.metrics.state import MAX_TENANT_SERIES
from pdp.rules.model import Decision, Stage
from pdp.rules.snapshot.verdict import Verdict
from pdp.snapshots.refusal import CAUSES
from rightcall import v1

ROOT = Path(__file__).parents[3]
CAUSES_OF_SNAPSHOTS = ["unusable", *(cause for _, cause in CAUSES)]
PREMIUM = Verdict(Decision.CHALLENGE, Stage.GROUP, 11, "premium")


def complete_metrics() -> Metrics:
    """Metrics that have seen everything."""
    current = current_of(denying("1"))
    current.unread_seconds = lambda: 1.5
    metrics = Metrics(current, "1.2.3")
    metrics.decided(Decision.DENY, Stage.USER, 0.0001)
    metrics.refused(ACME, PREMIUM)
    metrics.requested("CheckCall", "OK", 0.0002)
    metrics.requested("CheckCall", "UNAVAILABLE")
    metrics.reload("redis", "failure", "corrupt")
    metrics.rejected("overload")
    metrics.redis_up(up=True)
    metrics.redis_replica(replica=False)
    metrics.missing_tenants(0)
    return metrics


def test_the_manual_is_what_the_programs_say() -> None:
    """Where it is not: `python tests/support/metrics_manual.py`."""
    page = DOCS.read_text(encoding="utf-8")
    assert page == with_tables(page)


def test_every_metric_is_described_and_none_is_described_that_is_not_there() -> None:
    """Names and types are those that a scrape shows, and so are labels and their values."""
    registry = complete_metrics().registry

    assert shown(registry) == {name: metric.kind for name, metric in METRICS.items()}
    assert undescribed(registry, METRICS) == []


def test_a_value_that_is_not_described_is_found() -> None:
    """By the check above."""
    metrics = complete_metrics()
    metrics.reload("redis", "failure", "sunspots")
    assert [text for text in undescribed(metrics.registry, METRICS) if "sunspots" in text]


def test_all_causes_that_the_programs_tell_are_described() -> None:
    """What they pass on as the cause of a failed reload, and its source."""
    told: dict[str, set[str]] = {"source": set(), "cause": set(CAUSES_OF_SNAPSHOTS)}
    for path in (*(ROOT / "pdp").rglob("*.py"), *(ROOT / "rightcall").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("metrics.reload"):
                told["source"] |= constants(node.args[0])
                told["cause"] |= set().union(*map(constants, node.args[2:]))
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Refused":
                told["cause"] |= constants(node.args[0])

    described = METRICS["rightcall_reloads_total"].labels
    assert told["cause"] == set(described["cause"]) - {""}
    assert told["source"] <= set(described["source"])


def constants(node: ast.expr) -> set[str]:
    """The texts that an expression can be, as far as they are written there."""
    branches = (node.body, node.orelse) if isinstance(node, ast.IfExp) else (node,)
    return {one.value for one in branches if isinstance(one, ast.Constant) and isinstance(one.value, str)}


def test_the_methods_are_those_of_the_api() -> None:
    """And the codes are gRPC's."""
    services = [one.DESCRIPTOR.services_by_name for one in (v1.decision_pb2, v1.directory_pb2, v1.lockout_pb2)]
    methods = [method.name for service in services for one in service.values() for method in one.methods]

    assert list(METHODS) == methods
    assert set(METRICS["rightcall_grpc_requests_total"].labels["code"]) <= {code.name for code in grpc.StatusCode}


def test_every_series_of_decisions_is_there_before_the_first_decision() -> None:
    """So that no rate misses the first one."""
    metrics = Metrics(current_of(), "")
    series = [
        tuple(sample.labels.values())
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "rightcall_decisions_total"
    ]

    assert len(series) == len(set(series)) == 12
    assert ("allow", "none") in series


def test_latency_falls_into_buckets_that_fit() -> None:
    """From 25 µs to 5 s."""
    metrics = complete_metrics()

    def count(bound: str) -> float | None:
        return metrics.registry.get_sample_value("rightcall_check_duration_seconds_bucket", {"le": bound})

    assert (BUCKETS[0], BUCKETS[-1]) == (25e-6, 5.0)
    assert (count("7.5e-05"), count("0.0001"), count("5.0")) == (0, 1, 1)


def test_each_method_has_a_histogram_of_its_own() -> None:
    """What was refused before the method saw it is counted as a request, and has no time."""
    value = complete_metrics().registry.get_sample_value
    name, check_call = "rightcall_grpc_request_duration_seconds", {"method": "CheckCall"}

    assert value("rightcall_grpc_requests_total", {**check_call, "code": "UNAVAILABLE"}) == 1
    assert (value(f"{name}_count", check_call), value(f"{name}_sum", check_call)) == (1, 0.0002)
    assert value(f"{name}_bucket", {**check_call, "le": "0.00015"}) == 0
    assert value(f"{name}_bucket", {**check_call, "le": "0.00025"}) == 1
    assert value(f"{name}_count", {"method": "ListReach"}) == 0


def test_plain_calls_are_counted_once_and_told_as_decision_and_request() -> None:
    """They take a short way through the tally, which is the core's."""
    metrics = Metrics(current_of(), "")
    core = ThreadCounters()
    core.plain.took(0.0002, 3)
    core.answered("CheckCall", 0.003)
    metrics.tallies.add_source(lambda: core)
    value = metrics.registry.get_sample_value

    for _ in range(2):  # telling of them does not count them again
        assert value("rightcall_check_duration_seconds_count") == 3
        assert value("rightcall_grpc_requests_total", {"method": "CheckCall", "code": "OK"}) == 3
        assert value("rightcall_grpc_request_duration_seconds_count", {"method": "CheckCall"}) == 4


def test_refusals_are_told_by_permission_up_to_a_bound() -> None:
    """The first hundred each; the rest together; and a series that is there stays."""
    metrics = Metrics(current_of(), "")
    refusals = [Verdict(Decision.DENY, Stage.USER, number, "x" * 100) for number in range(MAX_REFUSALS + 5)]
    for _ in range(2):
        for refusal in refusals:
            metrics.refused(ACME, refusal)
    metrics.refused(ACME, PREMIUM._replace(permission_id=7000))
    told = {
        (sample.labels["decision"], sample.labels["permission"]): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "rightcall_refusals_total"
    }

    assert told.pop(("deny", "")) == 2 * 5
    assert told.pop(("challenge", "")) == 1
    assert told == {("deny", str(number)): 2 for number in range(MAX_REFUSALS)}
    first = {"decision": "deny", "tenant": ACME, "permission": "0", "name": "x" * MAX_NAME_LENGTH}
    assert metrics.registry.get_sample_value("rightcall_refusals_total", first) == 2


def test_a_change_is_late_by_as_much_as_it_took_to_get_here() -> None:
    """One from before the start is none, and a clock that is ahead makes no lag below 0."""
    before = time.time() - 1000
    metrics = Metrics(current_of(), "")
    now = time.time()
    for since in (0.0, before, now, now + 1000):
        metrics.synced(since)
    value = metrics.registry.get_sample_value

    assert value("rightcall_sync_lag_seconds_count") == 2
    assert value("rightcall_sync_lag_seconds_bucket", {"le": "900.0"}) == 2


def test_no_counter_has_a_second_series_for_when_it_was_made() -> None:
    """A quarter of all series, and nobody asks for them."""
    assert b"_created" not in generate_latest(complete_metrics().registry)


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


def test_a_tenant_has_its_name_beside_its_uuid() -> None:
    """As far as a label should be long; a tenant without a name has an empty one."""
    named = tenant_from({"uuid": ACME, "name": "acme " * 20})
    value = Metrics(current_of(named, tenant_from({"uuid": BOLT})), "").registry.get_sample_value

    assert value("rightcall_tenant_info", {"tenant": ACME, "name": ("acme " * 20)[:40]}) == 1
    assert value("rightcall_tenant_info", {"tenant": BOLT, "name": ""}) == 1


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
    assert value("rightcall_tenant_info", {**together, "name": ""}) is None


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
