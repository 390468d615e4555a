"""Manifests against the schemas of who takes them: Kubernetes' own, and those of the operators' custom resources."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import kubernetes_validate  # type: ignore[import-untyped] # it has no types
import pytest
import yaml
from charts import CHART, EVERYTHING, EXAMPLES, KUBERNETES, MANIFESTS, Manifest, parsed, rendered
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it has no types
from kube_tools import schemas
from tools import tool

if TYPE_CHECKING:
    from pathlib import Path

CUSTOM = {"monitoring.coreos.com/v1", "cert-manager.io/v1", "gateway.networking.k8s.io/v1"}
ADAPTER = CHART / "files" / "prometheus-adapter.yaml"


@pytest.fixture(scope="module")
def custom() -> dict[tuple[str, str], Draft202012Validator]:
    """Validators of the custom resources, by API version and kind."""
    return {key: Draft202012Validator(schema) for key, schema in schemas().items()}


@pytest.mark.parametrize("kubernetes", KUBERNETES)
@pytest.mark.parametrize("values", [*EXAMPLES, EVERYTHING], ids=lambda path: path.stem)
def test_every_manifest_is_valid_in_kubernetes_own_schemas(values: Path, kubernetes: str) -> None:
    """Kubernetes' schemas, of an old and of a new release, with unknown fields refused."""
    for manifest in rendered(values, kubernetes=kubernetes):
        if manifest["apiVersion"] not in CUSTOM:
            kubernetes_validate.validate(manifest, kubernetes, strict=True)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_example_manifests_are_valid(path: Path) -> None:
    """So is what is given to Kubernetes without Helm; sidecars are of 1.29 and later."""
    for manifest in parsed(path.read_text()):
        for kubernetes in KUBERNETES[1:]:
            kubernetes_validate.validate(manifest, kubernetes, strict=True)


@pytest.mark.parametrize("values", [*EXAMPLES, EVERYTHING], ids=lambda path: path.stem)
def test_custom_resources_are_valid_in_their_operators_schemas(
    values: Path, custom: dict[tuple[str, str], Draft202012Validator]
) -> None:
    """Those of the Prometheus operator, of cert-manager and of the Gateway API, with unknown fields refused."""
    for manifest in rendered(values):
        if manifest["apiVersion"] in CUSTOM:
            faults = _faults(custom, manifest)
            assert not faults, f"{manifest['kind']}: {faults}"


def test_everything_has_all_the_kinds() -> None:
    """What is to be valid is there to be looked at."""
    kinds = {manifest["kind"] for manifest in rendered(EVERYTHING)}
    assert kinds == {
        "Certificate",
        "ConfigMap",
        "Deployment",
        "GRPCRoute",
        "HTTPRoute",
        "HorizontalPodAutoscaler",
        "Ingress",
        "Job",
        "NetworkPolicy",
        "Pod",
        "PodDisruptionBudget",
        "PodMonitor",
        "PrometheusRule",
        "Service",
        "ServiceAccount",
        "ServiceMonitor",
    }


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a field that does not exist": (
        {
            "apiVersion": "cert-manager.io/v1",
            "kind": "Certificate",
            "spec": {"secretName": "a", "issuerRef": {"name": "a"}, "dnsName": ["a"]},
        },
        "dnsName",
    ),
    "an interval that is none": (
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "ServiceMonitor",
            "spec": {"selector": {}, "endpoints": [{"interval": "often"}]},
        },
        "often",
    ),
    "a rule without an expression": (
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "spec": {"groups": [{"name": "a", "rules": [{"record": "a:b"}]}]},
        },
        "expr",
    ),
}


@pytest.mark.parametrize(("manifest", "named"), WRONG.values(), ids=WRONG)
def test_the_operators_schemas_refuse_what_is_wrong(
    manifest: Manifest, named: str, custom: dict[tuple[str, str], Draft202012Validator]
) -> None:
    """That they take ours says something: they do refuse others."""
    assert any(named in fault for fault in _faults(custom, manifest))


def _faults(custom: dict[tuple[str, str], Draft202012Validator], manifest: Manifest) -> list[str]:
    validator = custom[manifest["apiVersion"], manifest["kind"]]
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(manifest)]


def test_the_adapter_s_queries_tell_calls_and_latency_of_each_server(tmp_path: Path) -> None:
    """`promtool test rules`, with what prometheus-adapter would put in: a busy server, and one without a call."""
    names = [rule["name"]["as"] for rule in yaml.safe_load(ADAPTER.read_text())["rules"]]
    rules = [{"record": f"adapter:{name}", "expr": _query(name)} for name in names]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "adapter", "rules": rules}]}))
    busy, idle = '{namespace="tel", pod="busy"', '{namespace="tel", pod="idle"'
    series = [
        {"series": f'rightcall_decisions_total{busy}, decision="allow", stage="none"}}', "values": "0+6000x10"},
        {"series": f'rightcall_decisions_total{busy}, decision="deny", stage="user"}}', "values": "0+3000x10"},
        {"series": f'rightcall_decisions_total{idle}, decision="allow", stage="none"}}', "values": "0x10"},
        {"series": f'rightcall_check_duration_seconds_bucket{busy}, le="1"}}', "values": "0+9000x10"},
        {"series": f'rightcall_check_duration_seconds_bucket{busy}, le="+Inf"}}', "values": "0+9000x10"},
        {"series": f'rightcall_check_duration_seconds_bucket{idle}, le="1"}}', "values": "0x10"},
        {"series": f'rightcall_check_duration_seconds_bucket{idle}, le="+Inf"}}', "values": "0x10"},
    ]
    wanted = {"rightcall_decisions_per_second": 150, "rightcall_check_duration_p99_seconds": 0.99}
    tests = [
        {
            "expr": f"adapter:{name}",
            "eval_time": "10m",
            "exp_samples": [
                {"labels": f'adapter:{name}{{namespace="tel", pod="{pod}"}}', "value": value}
                for pod, value in (("busy", wanted[name]), ("idle", 0))
            ],
        }
        for name in names
    ]
    case = {"interval": "1m", "input_series": series, "promql_expr_test": tests}
    whole = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [case]}
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(whole))
    command = [str(tool("promtool")), "test", "rules", str(tmp_path / "test.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def _query(name: str) -> str:
    """An adapter's rule as a query for the servers of a namespace."""
    (rule,) = [one for one in yaml.safe_load(ADAPTER.read_text())["rules"] if one["name"]["as"] == name]
    query: str = rule["metricsQuery"]
    series = rule["seriesQuery"].partition("{")[0]
    filled = {"<<.Series>>": series, "<<.LabelMatchers>>": 'namespace="tel",pod=~"busy|idle"'}
    for placeholder, text in {**filled, "<<.GroupBy>>": "namespace, pod"}.items():
        query = query.replace(placeholder, text)
    return query
