"""What the loader counts and measures, that people can read about it, and what its HTTP port tells."""

from __future__ import annotations

import socket
import subprocess
import urllib.error
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

from given import ACME, BOLT, KEY, GivenSource, denying
from metrics_manual import shown, undescribed
from programs import Program, run_program
from tools import tool
from waiting import until

from loader.cycle import Synchronizer
from loader.faults import Fault, Severity
from loader.metrics.catalog import METRICS, OUTCOMES
from loader.metrics.registry import LoaderMetrics
from loader.publishing.lease import Lease
from loader.publishing.publish import RedisPublisher
from loader.removal import RemovalGuard
from loader.report import SyncReport
from pdp.rules.model import PasswordOverride
from pdp.runtime.http import Readiness
from rightcall.programs.loader_health import LoaderHealth
from rightcall.redis_url import open_redis

if TYPE_CHECKING:
    from redis_server import RedisServer

COMPANY = str(Path(__file__).parents[3] / "examples" / "company.yaml")
FREE = ("--http", "127.0.0.1:0")
ERROR = Fault("acme.yaml", 7, "acme", "", "", "it is wrong", "repair it", Severity.ERROR)
WARNING = Fault("acme.yaml", 8, "acme", "", "", "it is odd", "look at it", Severity.WARNING)


def synchronizer(redis: RedisServer, source: GivenSource) -> Synchronizer:
    """What a loader does, without a claim to lead."""
    publisher = RedisPublisher(open_redis(redis.url), "redis", secret=KEY)
    guard = RemovalGuard()
    return Synchronizer(source, publisher, secret=KEY, password_override=PasswordOverride.ALL, guard=guard)


def leading() -> LoaderMetrics:
    """Metrics of a loader that leads."""
    return LoaderMetrics("1.2.3", lambda: True)


def value(metrics: LoaderMetrics, name: str, **labels: str) -> float | None:
    """A sample of the loader's own metrics."""
    return metrics.registry.get_sample_value(f"rightcall_loader_{name}", labels)


def cycles(metrics: LoaderMetrics) -> dict[tuple[str, str], float | None]:
    """How many cycles came to what, where any did."""
    counted = {
        (result, cause): value(metrics, "cycles_total", result=result, cause=cause) for result, cause in OUTCOMES
    }
    return {outcome: count for outcome, count in counted.items() if count}


def test_every_metric_is_described_and_none_is_described_that_is_not_there() -> None:
    """Names and types are those that a scrape shows, and so are labels and their values."""
    metrics = leading()
    metrics.note(SyncReport(faults=(ERROR, WARNING)))

    assert shown(metrics.registry) == {name: metric.kind for name, metric in METRICS.items()}
    assert undescribed(metrics.registry, METRICS) == []
    assert {cause for _, cause in OUTCOMES} == set(METRICS["rightcall_loader_cycles_total"].labels["cause"])


def test_a_good_cycle_is_counted_and_measured(redis: RedisServer) -> None:
    """A revision becomes current once; looking again publishes nothing, and takes time nevertheless."""
    metrics = leading()
    loader = synchronizer(redis, GivenSource(denying("118")))
    before = value(metrics, "last_success_timestamp_seconds")
    metrics.note(loader.sync())
    metrics.note(loader.sync())

    assert before == 0
    assert cycles(metrics) == {("success", ""): 2}
    assert value(metrics, "published_total") == 1
    assert [value(metrics, f"{step}_seconds_count") for step in ("read", "compile", "publish")] == [2, 1, 1]
    assert all((value(metrics, f"{step}_seconds_sum") or 0) > 0 for step in ("read", "compile", "publish"))
    assert (value(metrics, "last_success_timestamp_seconds") or 0) > 1.5e9


def test_a_removal_is_counted(redis: RedisServer) -> None:
    """One tenant of two is gone."""
    metrics = leading()
    source = GivenSource(denying("118"), denying("119", tenant=BOLT))
    loader = synchronizer(redis, source)
    metrics.note(loader.sync())
    source.tenants = source.tenants[:1]
    metrics.note(loader.sync())

    assert value(metrics, "published_total") == 2
    assert value(metrics, "removed_total") == 1


def test_a_source_that_cannot_be_read_is_a_failure_without_a_time(redis: RedisServer) -> None:
    """Nothing was read, so there is nothing to measure; the last success stays what it was."""
    metrics = leading()
    source = GivenSource(denying("118"))
    source.broken = True
    metrics.note(synchronizer(redis, source).sync())

    assert cycles(metrics) == {("failure", "source"): 1}
    assert value(metrics, "read_seconds_count") == 0
    assert value(metrics, "last_success_timestamp_seconds") == 0
    assert metrics.problem == "the source cannot be read; repair it"


def test_a_redis_that_is_away_is_a_failure_to_publish(redis: RedisServer) -> None:
    """And a cycle that works ends it."""
    metrics = leading()
    loader = synchronizer(redis, GivenSource(denying("118")))
    redis.kill()
    metrics.note(loader.sync())
    failed = metrics.problem
    redis.start()
    metrics.note(loader.sync())

    assert cycles(metrics) == {("failure", "publish"): 1, ("success", ""): 1}
    assert "redis" in failed
    assert metrics.problem == ""


def test_what_was_held_back_is_still_told_while_redis_is_away(redis: RedisServer) -> None:
    """A cycle that fails knows nothing of it, so it must not say that there is none."""
    metrics = leading()
    source = GivenSource(denying("118"))
    loader = synchronizer(redis, source)
    loader.sync()
    source.tenants = ()
    metrics.note(loader.sync())
    redis.kill()
    metrics.note(loader.sync())

    assert cycles(metrics) == {("partial", "held_back"): 1, ("failure", "publish"): 1}
    assert value(metrics, "held_back") == 1


def test_faults_and_pinned_tenants_are_told() -> None:
    """A cycle with errors did what it could: it is no failure."""
    metrics = leading()
    metrics.note(SyncReport(faults=(ERROR, WARNING, WARNING), faulty=frozenset({ACME}), pinned=(BOLT,)))

    assert cycles(metrics) == {("partial", "faults"): 1}
    assert value(metrics, "faults", severity="error") == 1
    assert value(metrics, "faults", severity="warning") == 2
    assert (value(metrics, "faulty_tenants"), value(metrics, "pinned_tenants")) == (1, 1)
    assert (value(metrics, "last_success_timestamp_seconds") or 0) > 0


def test_a_loader_that_lost_the_lead_does_not_tell_of_the_definitions() -> None:
    """What it read is old; who leads now tells."""
    leads = True
    metrics = LoaderMetrics("1.2.3", lambda: leads)
    metrics.note(SyncReport(faults=(ERROR,), faulty=frozenset({ACME})))
    told = value(metrics, "leading"), value(metrics, "faulty_tenants")
    leads = False

    assert told == (1, 1)
    assert (value(metrics, "leading"), value(metrics, "faulty_tenants")) == (0, None)


def test_staleness_is_told_while_it_leads() -> None:
    """Whose source is not read says nothing of it."""
    leads, stale = True, 12.5
    metrics = LoaderMetrics("1.2.3", lambda: leads, lambda: stale)
    told = value(metrics, "source_staleness_seconds")
    leads = False
    assert (told, value(metrics, "source_staleness_seconds")) == (12.5, None)


def test_a_loader_whose_source_is_not_read_is_not_ready(redis: RedisServer) -> None:
    """Though its cycles succeed: they publish what it knows, and edits are not in force; unless that may be."""
    stale = 0.0
    lease = Lease(open_redis(redis.url), "redis", "one")
    metrics = LoaderMetrics("1.2.3", lambda: lease.leading)
    health = LoaderHealth(lease, metrics, late=150, stale=lambda: stale, max_stale=450)
    assert lease.claim()
    metrics.note(SyncReport())
    assert health() == Readiness(ready=True, reason="ready: leading")
    stale = 449.0
    assert health() == Readiness(ready=True, reason="ready: leading; edits of the last 449 s may be unread")
    stale = 451.0
    assert LoaderHealth(lease, metrics, late=150, stale=lambda: stale)().ready
    assert health() == Readiness(ready=False, reason="not ready: leading, and edits of the last 451 s may be unread")


def test_readiness_of_a_loader(redis: RedisServer) -> None:
    """Standing by is ready; leading is after a good cycle, and no longer when the last one is too long ago."""
    client = open_redis(redis.url)
    one, other = Lease(client, "redis", "one"), Lease(client, "redis", "other")
    metrics = LoaderMetrics("1.2.3", lambda: one.leading)
    health = LoaderHealth(one, metrics, late=1000)
    said = [health()]
    assert one.claim()
    said.append(health())
    metrics.note(SyncReport())
    said.append(health())
    metrics.note(SyncReport(problems=("Redis is away",)))
    said += [health(), LoaderHealth(one, metrics, late=-1)()]
    assert not other.claim()
    said.append(LoaderHealth(other, metrics, late=1000)())

    assert [(one.ready, one.reason) for one in said[:4]] == [
        (False, "not ready: nobody is known to lead yet"),
        (False, "not ready: leading, and no good cycle yet"),
        (True, "ready: leading"),
        (True, "ready: leading; the last cycle failed: Redis is away"),
    ]
    assert (said[4].ready, said[4].reason.endswith("s; Redis is away")) == (False, True)
    assert said[5] == (True, "ready: standing by while one leads")
    foreign = LoaderHealth(other, metrics, late=1000, foreign=lambda: "another deployment publishes here")()
    assert foreign == (False, "not ready: one leads, and another deployment publishes here")


def get(address: str, path: str) -> tuple[int, str]:
    """Status and body."""
    try:
        with urlopen(f"http://{address}{path}", timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_two_loaders_tell_of_themselves_and_the_second_takes_over(redis: RedisServer) -> None:
    """As Prometheus and the probes see them: both ready, one leads; when it stops, the other one does."""
    arguments = ("load", "--source", f"file:{COMPANY}", "--redis", redis.url, *FREE)
    key = {"RIGHTCALL_SECRET_KEY": KEY.decode()}
    with Program(*arguments, "--name", "one", **key) as one:
        first = one.wait_for("loading")["http"]
        one.wait_for("rules_published")
        until(lambda: get(first, "/readyz") == (200, "ready: leading\n"), "the first one is ready")
        with Program(*arguments, "--name", "two", **key) as two:
            second = two.wait_for("loading")["http"]
            standby = (200, "ready: standing by while one leads\n")
            until(lambda: get(second, "/readyz") == standby, "the second one stands by")
            assert "rightcall_loader_leading 0.0" in get(second, "/metrics")[1]
            assert "rightcall_loader_faulty_tenants 0.0" in get(first, "/metrics")[1]
            assert one.stop() == 0
            until(lambda: "rightcall_loader_leading 1.0" in get(second, "/metrics")[1], "the second one leads")
            until(lambda: get(second, "/readyz") == (200, "ready: leading\n"), "the second one is ready")
            assert two.stop() == 0


def test_a_loader_without_redis_is_alive_and_not_ready() -> None:
    """It must wait, not be killed; and no password is in what it says."""
    url = "redis://:s3cr3t@127.0.0.1:1/0"
    with Program("load", "--source", COMPANY, "--redis", url, *FREE) as load:
        address = load.wait_for("loading")["http"]
        until(lambda: "127.0.0.1:1" in get(address, "/readyz")[1], "it says why it is not ready")
        status, text = get(address, "/readyz")
        assert status == HTTPStatus.SERVICE_UNAVAILABLE
        assert "s3cr3t" not in text
        assert get(address, "/healthz")[0] == HTTPStatus.OK
        assert load.stop() == 0


def test_prometheus_finds_nothing_wrong_with_the_metrics(redis: RedisServer) -> None:
    """`promtool check metrics`: names, units, help."""
    with Program("load", "--source", COMPANY, "--redis", redis.url, *FREE) as load:
        load.wait_for("rules_published")
        text = get(load.wait_for("loading")["http"], "/metrics")[1]
        assert load.stop() == 0
    command = [str(tool("promtool")), "check", "metrics"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_load_does_without_http_when_told_so(redis: RedisServer) -> None:
    """Also by a variable, which cannot say so by being empty."""
    with Program("load", "--source", COMPANY, "--redis", redis.url, RIGHTCALL_HTTP="none") as load:
        assert load.wait_for("loading")["http"] == ""
        load.wait_for("rules_published")
        assert load.stop() == 0


def test_load_says_which_address_is_taken(redis: RedisServer) -> None:
    """Exit code 2, before it takes the lead."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ran = run_program("load", "--source", COMPANY, "--redis", redis.url, "--http", address)
    assert ran.returncode == 2
    assert address in ran.stderr
    assert "leading" not in ran.stderr


def test_load_once_needs_no_port(redis: RedisServer) -> None:
    """It has ended before anybody could look."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ran = run_program("load", "--once", "--source", COMPANY, "--redis", redis.url, "--http", address)
    assert ran.returncode == 0
