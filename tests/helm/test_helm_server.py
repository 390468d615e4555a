"""The chart against a real kube-apiserver. Building one takes minutes, so this runs with RIGHTCALL_KUBE=1 alone."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from charts import CHART, EVERYTHING, EXAMPLES, MANIFESTS, ROOT, parsed, template
from kube_server import KubeServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.skipif(not os.environ.get("RIGHTCALL_KUBE"), reason="needs a kube-apiserver; run `make helm-server`"),
    pytest.mark.timeout(1800),
]
DRY, LIVE = "tel", "live"
FIRST = sorted((ROOT / "tests" / "cases" / "chart").glob("first-*.yaml"))
"""What the first chart made of the examples of these names."""
OURS = "app.kubernetes.io/name=rightcall"
KINDS = (
    "deployments,daemonsets,jobs,pods,services,secrets,configmaps,serviceaccounts,poddisruptionbudgets,networkpolicies,"
    "horizontalpodautoscalers,certificates,servicemonitors,podmonitors,prometheusrules"
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[KubeServer]:
    """A kube-apiserver with two namespaces; that of dry runs has the accounts without which no pod is admitted."""
    with KubeServer() as server:
        server.namespace(LIVE)
        server.namespace(DRY)
        for name in ("trial-rightcall", "everything", "default"):
            account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": DRY}}
            assert server.applied(yaml.safe_dump(account)).returncode == 0
        yield server


@pytest.mark.parametrize("values", [*EXAMPLES, EVERYTHING], ids=lambda path: path.stem)
def test_kubernetes_takes_what_every_values_file_makes(cluster: KubeServer, values: Path) -> None:
    """Every manifest passes defaulting, validation and admission of the real server, without a warning."""
    done = cluster.applied(template("-f", values).stdout, "--dry-run=server", "-n", DRY)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "created (server dry run)" in done.stdout


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.stem)
def test_kubernetes_takes_the_example_manifests(cluster: KubeServer, manifest: Path) -> None:
    """So does what is no values file, and its pods are restricted, too."""
    done = cluster.applied(manifest.read_text(), "--dry-run=server", "-n", DRY)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a pod that is not restricted": (
        {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "a", "image": "a"}]}},
        "violates PodSecurity",
    ),
    "a field of cert-manager's that does not exist": (
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
        "interval",
    ),
}


@pytest.mark.parametrize(("manifest", "named"), WRONG.values(), ids=WRONG)
def test_the_server_refuses_what_is_wrong(cluster: KubeServer, manifest: dict[str, Any], named: str) -> None:
    """That it takes ours says something: it does refuse others."""
    done = cluster.applied(yaml.safe_dump({**manifest, "metadata": {"name": "wrong"}}), "--dry-run=server", "-n", DRY)
    assert done.returncode != 0
    assert named in done.stderr


@pytest.mark.parametrize("values", [*EXAMPLES, EVERYTHING], ids=lambda path: path.stem)
def test_an_installation_is_upgraded_rolled_back_and_removed(cluster: KubeServer, values: Path) -> None:
    """From a trial to any other example and back no fixed field changes, and nothing of ours is left behind."""
    trial = ("-n", LIVE, "-f", CHART / "examples" / "trial.yaml")
    installed = cluster.helm("install", "trial", CHART, *trial)
    assert installed.returncode == 0, installed.stderr
    assert "helm test -n live trial --logs" in installed.stdout
    for command in (
        ("upgrade", "trial", CHART, "-n", LIVE, "-f", values),
        ("upgrade", "trial", CHART, "-n", LIVE, "-f", values),
        ("rollback", "trial", "1", "-n", LIVE),
    ):
        done = cluster.helm(*command)
        assert done.returncode == 0, done.stderr
    there = cluster.kubectl("get", "deployments", "-n", LIVE, "-l", OURS, "-o", "name").stdout.split()
    names = ("trial-rightcall", "trial-rightcall-loader", "trial-rightcall-redis")
    assert there == [f"deployment.apps/{name}" for name in names]
    assert cluster.helm("uninstall", "trial", "-n", LIVE).returncode == 0
    left = cluster.kubectl("get", KINDS, "-n", LIVE, "-l", OURS, "-o", "name", "--ignore-not-found")
    assert (left.returncode, left.stdout) == (0, ""), left.stderr


@pytest.mark.parametrize("then", FIRST, ids=lambda path: path.stem)
def test_what_the_first_chart_installed_is_upgraded(cluster: KubeServer, then: Path) -> None:
    """The server takes this chart's manifests in the place of the first one's: no field changes that it keeps."""
    namespace = then.stem
    cluster.namespace(namespace)
    values = CHART / "examples" / f"{namespace.removeprefix('first-')}.yaml"
    for text in (then.read_text(), template("-f", values).stdout.replace("namespace: tel", f"namespace: {namespace}")):
        # Pods of `helm test` are made again each time, and no others.
        kept = yaml.safe_dump_all([one for one in parsed(text) if one["kind"] != "Pod"])
        done = cluster.applied(kept, "-n", namespace)
        assert done.returncode == 0, done.stderr
