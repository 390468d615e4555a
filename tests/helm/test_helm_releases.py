"""Two releases in one namespace: what watches one of them is not misled by the other."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import yaml
from charts import CHART, KUBERNETES, Manifest, helm, parsed, rendered, the
from tools import tool

if TYPE_CHECKING:
    from pathlib import Path

PRODUCTION = CHART / "examples" / "production.yaml"


def _release(name: str, *arguments: str) -> list[Manifest]:
    """The manifests of a release of this name in the namespace `tel`."""
    version = KUBERNETES[1]
    done = helm("template", name, CHART, "--namespace", "tel", "--kube-version", version, "-f", PRODUCTION, *arguments)
    assert done.returncode == 0, done.stderr
    return parsed(done.stdout)


def _job(manifests: list[Manifest], kind: str, name: str, endpoints: str) -> str:
    """The job that Prometheus is told to give the targets of a monitor."""
    (endpoint,) = the(manifests, kind, name)["spec"][endpoints]
    (job,) = [one["replacement"] for one in endpoint["relabelings"] if one["targetLabel"] == "job"]
    return str(job)


def test_two_releases_have_jobs_of_their_own() -> None:
    """Servers and loaders of each: what the alerts group by tells them apart."""
    jobs = set()
    for release in ("north", "south"):
        manifests = _release(release)
        jobs.add(_job(manifests, "ServiceMonitor", f"{release}-rightcall", "endpoints"))
        jobs.add(_job(manifests, "PodMonitor", f"{release}-rightcall-loader", "podMetricsEndpoints"))
    assert jobs == {"north-rightcall", "north-rightcall-loader", "south-rightcall", "south-rightcall-loader"}


def test_the_alerts_see_each_of_two_releases(tmp_path: Path) -> None:
    """`promtool test rules`: different revisions in two releases are well; one that is away or empty is not."""
    spec = the(_release("north"), "PrometheusRule", "north-rightcall")["spec"]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(spec))
    south = '{namespace="tel", job="south-rightcall", instance="s"'
    north = '{namespace="tel", job="north-rightcall", instance="n"'
    tenant = ', tenant="fe500000-0000-4000-8000-000000000001"}'
    quiet = [
        {"series": f"rightcall_snapshot_revision{side}{tenant}", "values": f"{revision}x30"}
        for side, revision in ((south, 7), (north, 3))
    ]
    quiet += [
        {"series": f"{metric}{side}}}", "values": "1x30"}
        for metric in ("rightcall_redis_up", "rightcall_tenants")
        for side in (south, north)
    ]
    empty = [
        {"series": f"rightcall_tenants{south}}}", "values": "4x30"},
        {"series": f"rightcall_tenants{north}}}", "values": "0x30"},
    ]
    tests = [
        _case(quiet, {"RightcallStaleRules": 0, "RightcallGone": 0, "RightcallNotServing": 0}),
        _case(empty, {"RightcallNotServing": 1, "RightcallGone": 0}),
        _case(empty[:1], {"RightcallGone": 1, "RightcallNotServing": 0}),
    ]
    whole = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests}
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(whole))
    command = [str(tool("promtool")), "test", "rules", str(tmp_path / "test.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def _case(series: list[dict[str, str]], firing: dict[str, int]) -> dict[str, Any]:
    """Series of half an hour, and how many of each alert fire after twenty minutes of them."""
    counts = [
        {
            "expr": f'count(ALERTS{{alertname="{alert}", alertstate="firing"}}) or vector(0)',
            "eval_time": "20m",
            "exp_samples": [{"labels": "{}", "value": count}],
        }
        for alert, count in firing.items()
    ]
    return {"interval": "1m", "input_series": series, "promql_expr_test": counts}


def test_loaders_alone_do_not_miss_servers_that_run_elsewhere() -> None:
    """Servers in the pods of Asterisk have another job: any server counts as seen."""
    both = "monitoring.serviceMonitor.enabled=true,monitoring.rules.enabled=true"
    manifests = rendered(CHART / "examples" / "sidecar.yaml", "--set", both)
    groups = the(manifests, "PrometheusRule", "trial-rightcall")["spec"]["groups"]
    (gone,) = [rule for group in groups for rule in group["rules"] if rule.get("alert") == "RightcallGone"]
    assert gone["expr"] == "absent(rightcall_tenants)"
