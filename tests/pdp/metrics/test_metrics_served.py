"""What servers tell while they serve: times of methods, refusals by permission, late changes."""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING, NamedTuple

import grpc
import pytest
from followers import loader_to, replica
from given import ACME, ALICE, KEY, GivenSource, denying
from metrics_manual import undescribed
from programs import Program
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from redis_server import RedisServer
from server import DEADLINE, running_server
from waiting import until

from loader.publishing.revisions import Revisions
from pdp.metrics.catalog import METRICS
from rightcall import v1
from rightcall.redis_url import open_redis

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from followers import Replica
    from prometheus_client import Metric
    from server import Running

LAG = "rightcall_sync_lag_seconds"
CALL = v1.CheckCallRequest(caller=ALICE, extension="0900")
RULES = """
tenants:
  - uuid: 54eb71f8-1f4b-4ae4-8730-638062fbe521
    name: acme
    users: [{uuid: 2c34c282-433e-4bb8-8d56-fec14ff7e1e9}]
    call_permissions:
      - {id: 7, name: premium, extensions: ["0900"], users: [2c34c282-433e-4bb8-8d56-fec14ff7e1e9]}
      - {id: 8, name: abroad, password: "1234", extensions: ["0044"], users: [2c34c282-433e-4bb8-8d56-fec14ff7e1e9]}
"""


class Served(NamedTuple):
    """A server, as an operator starts it, the file with its rules, and its metrics' URL."""

    server: Program
    rules: Path
    address: str
    http: str

    def metrics(self) -> list[Metric]:
        """A scrape."""
        with urllib.request.urlopen(f"http://{self.http}/metrics", timeout=DEADLINE) as answer:
            return list(text_string_to_metric_families(answer.read().decode()))

    def value(self, name: str, /, **labels: str) -> float:
        """A sample; 0 where there is none."""
        samples = [sample for family in self.metrics() for sample in family.samples if sample.name == name]
        return next((sample.value for sample in samples if sample.labels == labels), 0.0)

    def ask(self, extension: str) -> None:
        """A request over a connection of its own, so that each thread gets its turn."""
        with self.channel() as channel:
            call = v1.CheckCallRequest(caller=ALICE, extension=extension)
            v1.DecisionServiceStub(channel).CheckCall(call, timeout=DEADLINE)

    def channel(self) -> grpc.Channel:
        """A connection that nobody else uses."""
        return grpc.insecure_channel(self.address, [("grpc.use_local_subchannel_pool", 1)])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One that follows a loader through Redis."""
    rules = tmp_path_factory.mktemp("rules") / "acme.yaml"
    rules.write_text(RULES)
    key = {"RIGHTCALL_SECRET_KEY": KEY.decode()}
    with RedisServer() as redis:
        load = ("load", "--source", f"file:{rules}", "--redis", redis.url, "--http", "none")
        listen = ("--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--io-threads", "2")
        with Program("serve", "--redis", redis.url, *listen, **key) as server, Program(*load, **key):
            started = server.wait_for("server_started")
            server.wait_for("rules_loaded")
            yield Served(server, rules, started["grpc"], started["http"])


def test_requests_and_their_times_are_those_of_all_threads(served: Served) -> None:
    """Each request has one time, whether the core or Python answered it; one that fails, too."""
    for extension in ("0900", "0900", "1", "0044"):
        served.ask(extension)
    with served.channel() as channel:
        decisions, directory = v1.DecisionServiceStub(channel), v1.DirectoryServiceStub(channel)
        decisions.CheckCalls(v1.CheckCallsRequest(calls=[CALL] * 3), timeout=DEADLINE)
        directory.GetStatus(v1.GetStatusRequest(), timeout=DEADLINE)
        asked = [v1.StreamCheckCallsRequest(id=str(number), call=CALL) for number in range(5)]
        assert len(list(decisions.StreamCheckCalls(iter(asked), timeout=DEADLINE))) == 5
        with pytest.raises(grpc.RpcError):
            decisions.CheckCall(v1.CheckCallRequest(), timeout=DEADLINE)

    def times(method: str) -> float:
        return served.value("rightcall_grpc_request_duration_seconds_count", method=method)

    until(lambda: times("CheckCall") == 5, "all are counted")
    assert served.value("rightcall_grpc_requests_total", method="CheckCall", code="OK") == 4
    assert served.value("rightcall_grpc_requests_total", method="CheckCall", code="INVALID_ARGUMENT") == 1
    assert [times(method) for method in ("CheckCalls", "GetStatus", "StreamCheckCalls", "ListReach")] == [1, 1, 5, 0]
    assert served.value("rightcall_grpc_requests_total", method="StreamCheckCalls", code="OK") == 1
    until(lambda: served.value("rightcall_check_duration_seconds_count") == 12, "all decisions have their time")


def test_refusals_are_those_of_all_threads_by_permission(served: Served) -> None:
    """Whichever way they were asked for; what is allowed is none."""
    names = {"7": ("deny", "premium"), "8": ("challenge", "abroad")}

    def refused(permission: str) -> float:
        decision, name = names[permission]
        labels = {"decision": decision, "tenant": ACME, "permission": permission, "name": name}
        return served.value("rightcall_refusals_total", **labels)

    before = refused("7"), refused("8")
    for extension in ("0900", "0044", "1") * 6:
        served.ask(extension)
    until(lambda: (refused("7"), refused("8")) == (before[0] + 6, before[1] + 6), "refusals are counted")


def test_every_series_of_a_server_is_described(served: Served) -> None:
    """Labels and their values."""
    served.ask("0900")
    registry = CollectorRegistry()
    registry.collect = served.metrics  # type: ignore[method-assign] # a scrape in place of a registry
    found = {family.name for family in served.metrics()}

    assert undescribed(registry, METRICS) == []
    of_definitions = {"rightcall_source_staleness_seconds"}  # this server follows a loader
    assert {name.removesuffix("_total") for name in METRICS} - of_definitions <= found
    assert not [name for name in found if name.endswith("_created")]
    assert {"process_cpu_seconds", "process_resident_memory_bytes", "process_start_time_seconds"} <= found


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """A server."""
    with running_server(denying("0900")) as it:
        yield it


def test_a_request_is_counted_and_timed_whatever_comes_of_it(running: Running) -> None:
    """An answer, and a refusal; of a stream each answer has its time."""
    with pytest.raises(grpc.RpcError):
        running.directory.ListReach(v1.ListReachRequest(caller=ALICE, tenant="nobody"), timeout=DEADLINE)
    callers = v1.ListCallersRequest(extension="0900", tenant=ACME)
    list(running.directory.ListCallers(callers, timeout=DEADLINE))
    asked = [v1.StreamCheckCallsRequest(id="1", call=CALL)] * 2
    list(running.decisions.StreamCheckCalls(iter(asked), timeout=DEADLINE))

    def times(method: str) -> float:
        name = "rightcall_grpc_request_duration_seconds_count"
        return running.metrics.registry.get_sample_value(name, {"method": method}) or 0.0

    until(lambda: [times(name) for name in ("ListReach", "ListCallers", "StreamCheckCalls")] == [1, 1, 2], "all timed")


def lags(server: Replica) -> float:
    """How many changes a server timed."""
    return server.metrics.registry.get_sample_value(f"{LAG}_count") or 0.0


def test_rules_from_before_the_start_are_not_late(redis: RedisServer) -> None:
    """What is changed afterwards counts; a rollback is timed from itself, not from when its revision was made."""
    source = GivenSource(denying("118"))
    loader = loader_to(redis, source)
    loader.sync()
    first = Revisions(open_redis(redis.url), "redis", secret=KEY)
    old = first.kept(ACME)[0].revision
    with replica(redis.url) as server:
        until(lambda: server.denies("118"), "it has loaded")
        assert lags(server) == 0
        source.tenants = (denying("117"),)
        loader.sync()
        until(lambda: server.denies("117") and lags(server) == 1, "the change is timed")
        first.roll_back(ACME, str(old))
        until(lambda: server.denies("118") and lags(server) == 2, "the rollback is timed")
        server.follower.stop()
    with replica(redis.url) as later:
        until(lambda: later.denies("118"), "another one starts")
        assert lags(later) == 0
