"""Rules and dashboards of the chart, held against Prometheus itself and against a server that really serves."""

from __future__ import annotations

import re
import subprocess
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from charts import ROOT
from tools import tool
from waiting import until
from watched import DASHBOARDS, RULES, Query, Watched, panels, queries, watched_server

from loader.metrics.catalog import METRICS as LOADER_METRICS
from pdp.decision_log.log import _Entry, document
from pdp.metrics.catalog import METRICS
from pdp.rules.model import Call, Decision, Reason
from pdp.rules.snapshot.verdict import UNRESTRICTED, Outcome
from rightcall.agi.catalog import METRICS as AGI_METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUNBOOK = ROOT / "docs" / "runbook.md"
CASES = sorted((ROOT / "tests" / "cases" / "monitoring").glob("*-test.yaml"))
COMPANY = "fe500000-0000-4000-8000-000000000001"
A_DAY_AGO = "offset 1d"


def _rules(kind: str) -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"] if kind in rule]


def _promtool(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [str(tool("promtool")), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **options)


def test_prometheus_finds_nothing_wrong_with_the_rules() -> None:
    """`promtool check rules`."""
    done = _promtool("check", "rules", RULES)
    assert done.returncode == 0, done.stderr


def test_alerts_fire_when_they_should_and_not_when_they_should_not() -> None:
    """`promtool test rules`, with the cases of tests/cases/monitoring."""
    with ThreadPoolExecutor() as pool:  # each is evaluated on one core, for seconds
        for done in pool.map(lambda cases: _promtool("test", "rules", cases), CASES):
            assert done.returncode == 0, done.stdout + done.stderr


def _cases(kind: str) -> list[dict[str, Any]]:
    groups = [case for path in CASES for case in yaml.safe_load(path.read_text())["tests"]]
    return [one for group in groups for one in group.get(kind, ())]


def test_every_alert_is_shown_to_fire_and_to_keep_quiet() -> None:
    """No alert is without a case for each."""
    cases, alerts = _cases("alert_rule_test"), {rule["alert"] for rule in _rules("alert")}
    assert {one["alertname"] for one in cases if one["exp_alerts"]} == alerts
    assert {one["alertname"] for one in cases if not one["exp_alerts"]} == alerts


def test_every_record_is_shown_to_have_its_value() -> None:
    """Over its own window."""
    shown = {one["expr"] for one in _cases("promql_expr_test") if one["exp_samples"]}
    assert {rule["record"] for rule in _rules("record")} <= shown


def test_every_alert_leads_to_a_section_of_the_runbook() -> None:
    """Who is woken finds what to do, and the runbook has no section that nothing leads to."""
    anchors = {heading.lower() for heading in re.findall(r"^## (Rightcall\w+)$", RUNBOOK.read_text(), re.MULTILINE)}
    linked = {rule["annotations"]["runbook_url"] for rule in _rules("alert")}
    assert linked == {f"docs/runbook.md#{anchor}" for anchor in anchors}


def test_rules_and_dashboards_use_metrics_that_there_are() -> None:
    """A metric that is renamed must be renamed here, too."""
    expressions = [rule["expr"] for kind in ("alert", "record") for rule in _rules(kind)]
    expressions += [query.expression for query in queries()]
    used = {name for text in expressions for name in re.findall(r"\brightcall_\w+", text)}
    described = METRICS.keys() | LOADER_METRICS.keys() | AGI_METRICS.keys()
    assert {re.sub(r"_(bucket|count|sum)$", "", name) for name in used} <= described


def test_panels_lie_side_by_side() -> None:
    """No panel of a dashboard covers another."""
    for path in DASHBOARDS:
        taken: set[tuple[int, int]] = set()
        for panel in panels(path):
            at = panel["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            assert not cells & taken, f"{path.stem}: {panel['title']}"
            assert at["x"] + at["w"] <= 24
            taken |= cells


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    """A server that was called long enough for Prometheus to tell rates."""
    with watched_server() as started:

        def enough() -> bool:
            started.call_everything()
            seen = started.prometheus.query('sum(rate(rightcall_grpc_requests_total{code!="OK"}[10s])) > 0')
            late = started.prometheus.query("sum(rate(rightcall_sync_lag_seconds_count[10s])) > 0")
            recorded = started.prometheus.query('rightcall:errors:ratio5m{namespace="tests"}')
            return bool(seen and late and recorded)

        until(enough, "Prometheus tells the rates of failed requests and of changes")
        yield started


@pytest.mark.parametrize("query", queries(), ids=lambda query: f"{query.board}: {query.panel}")
def test_every_query_of_the_dashboards_has_an_answer(watched: Watched, query: Query) -> None:
    """Each panel shows something of a server that is in use."""
    assert watched.prometheus.query(query.filled()) or A_DAY_AGO in query.expression


def test_dashboards_name_tenants_and_fall_back_to_their_uuids(watched: Watched) -> None:
    """Each query by tenant; where no name goes with a UUID, as beyond fifty tenants, it is shown as before."""
    by_tenant = [query for query in queries() if "tenant_name" in query.expression]
    assert len(by_tenant) == 9
    for query in by_tenant:
        expression = query.filled()
        nameless = expression.replace("rightcall_tenant_info", "rightcall_no_such_metric")
        named = {one.labels["tenant_name"] for one in watched.prometheus.query(expression)}
        plain = {one.labels["tenant_name"] for one in watched.prometheus.query(nameless)}
        assert named == {"fern-and-sons"}, query
        assert plain == {COMPANY}, query


def test_every_recorded_series_is_there(watched: Watched) -> None:
    """The recording rules find what they record."""
    for rule in _rules("record"):
        assert watched.prometheus.query(rule["record"]), rule["record"]


def test_a_server_and_a_loader_that_are_well_wake_nobody(watched: Watched) -> None:
    """Both are watched, and no alert is so much as pending."""
    assert watched.prometheus.query("rightcall_loader_leading == 1")
    assert watched.prometheus.alerts() == []


def test_prometheus_finds_nothing_wrong_with_the_metrics(watched: Watched) -> None:
    """`promtool check metrics` of server and loader: names, units, help."""
    for url in watched.metrics:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - http, to ourselves
            text = answer.read().decode()
        done = _promtool("check", "metrics", input=text)
        assert done.returncode == 0, done.stdout + done.stderr


def test_queries_of_the_decision_log_use_members_that_it_has() -> None:
    """Those for Loki, which is not here: what they take from an entry is there, and is what they compare it with."""
    log = [panel for path in DASHBOARDS for panel in panels(path) if panel.get("datasource", {}).get("type") == "loki"]
    outcome = Outcome(UNRESTRICTED, Reason.NO_PERMISSION, caller_known=False, outcall_known=False)
    entry = document(_Entry(0.0, "id", "", Call("c", "1"), None, outcome, 0.0, ""), mask=0)

    assert len(log) == 3
    for text in [target["expr"] for panel in log for target in panel["targets"]]:
        members = re.findall(r'(\w+)="(\w+)"', text.partition("| json ")[2].partition(" | ")[0])
        assert {member for _, member in members} <= entry.keys()
        assert re.findall(r'decision="([A-Z]+)"', text)[0] in {decision.name for decision in Decision}
        assert [name for name, member in members if name != member] == []
