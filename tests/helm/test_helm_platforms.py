"""The chart where others set the rules: within a parent chart, behind a registry, a policy, a Gateway, on OpenShift."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from charts import CHART, EVERYTHING, KUBERNETES, Manifest, helm, parsed, pods, refusal, rendered, the

if TYPE_CHECKING:
    from pathlib import Path

TRIAL, OPENSHIFT, GITOPS, WAZO = (
    CHART / "examples" / f"{name}.yaml" for name in ("trial", "openshift", "gitops", "wazo")
)
ASKS = {"podSelector": {"matchLabels": {"app": "asks"}}}
WATCHES = {"podSelector": {"matchLabels": {"app": "watches"}}}


def _parent(directory: Path, *arguments: str) -> list[Manifest]:
    """What the example of a parent chart makes, with Rightcall in its place."""
    parent = directory / "telephony"
    shutil.copytree(CHART / "examples" / "subchart", parent)
    shutil.copytree(CHART, parent / "charts" / "rightcall")
    done = helm("template", "tel", parent, "--kube-version", KUBERNETES[1], *arguments)
    assert done.returncode == 0, done.stderr
    return parsed(done.stdout)


def test_a_parent_chart_switches_its_part_on_and_off(tmp_path: Path) -> None:
    """`condition: rightcall.enabled` and `global` are values that the schema takes."""
    assert "tel-rightcall" in pods(_parent(tmp_path / "on"))
    assert _parent(tmp_path / "off", "--set", "rightcall.enabled=false") == []


def test_a_parent_chart_names_the_registry_and_its_secrets(tmp_path: Path) -> None:
    """`global.imageRegistry` and `global.imagePullSecrets` reach every pod."""
    for spec in pods(_parent(tmp_path)).values():
        assert spec["imagePullSecrets"] == [{"name": "mirror"}]
        assert {one["image"] for one in spec["containers"]} == {"registry.example.com/mirror/rightcall/rightcall:0.2.0"}


@pytest.mark.parametrize(
    ("image", "mirrored"),
    [
        ("docker.io/library/redis:8", "mirror:5000/library/redis:8"),
        ("redis:8", "mirror:5000/redis:8"),
        ("library/redis:8", "mirror:5000/library/redis:8"),
        ("localhost/redis@sha256:0", "mirror:5000/redis@sha256:0"),
        ("old:5000/a/b/redis:8", "mirror:5000/a/b/redis:8"),
    ],
)
def test_a_registry_replaces_that_of_each_image(image: str, mirrored: str) -> None:
    """Also of Redis, and of images that name no registry."""
    manifests = rendered(TRIAL, "--set", f"redis.bundled.image={image},global.imageRegistry=mirror:5000")
    (container,) = pods(manifests)["trial-rightcall-redis"]["containers"]
    assert container["image"] == mirrored


def test_openshift_chooses_the_ids_of_its_pods() -> None:
    """No user, no group, and what else a restricted pod has; and DNS is open where OpenShift has it."""
    manifests = rendered(OPENSHIFT)
    for spec in pods(manifests).values():
        assert spec["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    for policy in ("trial-rightcall", "trial-rightcall-loader"):
        ports = the(manifests, "NetworkPolicy", policy)["spec"]["egress"][0]["ports"]
        assert {(one["port"], one["protocol"]) for one in ports} == {
            (port, protocol) for port in (53, 5353) for protocol in ("UDP", "TCP")
        }


def test_ids_are_what_they_are_set_to() -> None:
    """Each of them, or without it."""
    set_ = "podSecurity.runAsUser=1234567890,podSecurity.fsGroup=null"
    context = pods(rendered(TRIAL, "--set", set_))["trial-rightcall"]["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"]) == (1234567890, 65532)
    assert "fsGroup" not in context
    assert "runAsUser" in refusal("-f", TRIAL, "--set", "podSecurity.runAsUser=0")


def _http_peers(clients: list[Any], http: list[Any], monitoring: list[Any]) -> list[Any] | None:
    """Who reaches the servers' HTTP port; None: everybody."""
    values = {"enabled": True, "clients": clients, "httpClients": http, "monitoring": monitoring}
    manifests = rendered(TRIAL, "--set-json", f"networkPolicy={json.dumps(values)}")
    (rule,) = [
        one
        for one in the(manifests, "NetworkPolicy", "trial-rightcall")["spec"]["ingress"]
        if one["ports"] == [{"port": "http", "protocol": "TCP"}]
    ]
    peers: list[Any] | None = rule.get("from")
    return peers


@pytest.mark.parametrize(
    ("clients", "http", "monitoring", "reach"),
    [
        ([], [], [], None),
        ([ASKS], [], [], [ASKS]),
        ([ASKS], [], [WATCHES], [ASKS, WATCHES]),
        ([], [], [WATCHES], [WATCHES]),
        ([], [ASKS], [WATCHES], [ASKS, WATCHES]),
        ([WATCHES], [ASKS], [], [ASKS]),
        ([ASKS], [], [ASKS], [ASKS]),
    ],
)
def test_the_policy_guards_both_ways_to_ask(clients: Any, http: Any, monitoring: Any, reach: Any) -> None:
    """Who may not ask over gRPC may not over HTTP, and who may is not shut out for the sake of metrics."""
    assert _http_peers(clients, http, monitoring) == reach


def test_http_is_on_the_service_where_it_is_wanted() -> None:
    """Not by itself, since metrics are there, too."""
    ports = the(rendered(TRIAL), "Service", "trial-rightcall")["spec"]["ports"]
    assert [one["name"] for one in ports] == ["grpc"]
    ports = the(rendered(TRIAL, "--set", "pdp.service.httpPort=80"), "Service", "trial-rightcall")["spec"]["ports"]
    assert ports[1:] == [{"name": "http", "port": 80, "targetPort": "http"}]


@pytest.mark.parametrize(
    ("url", "ports"),
    [
        ("redis://redis:6379/0", [6379]),
        ("redis+sentinel://a,b/tel/0", [6379, 26379]),
        ("rediss+sentinel://a:26380,[fd00::1]:26381/tel/0?socket_timeout=3", [6379, 26380, 26381, 26379]),
        ("redis+cluster://a:7000,b:7001", [6379, 7000, 7001]),
        ("rediss+cluster://a:6379", [6379]),
    ],
)
def test_every_way_to_redis_is_taken_and_open(url: str, ports: list[int]) -> None:
    """Sentinels and clusters are URLs like others, and the policy lets servers and loaders reach all that they name."""
    set_ = {"redis": {"url": url, "bundled": {"enabled": False}}, "networkPolicy": {"enabled": True}}
    arguments = [part for key, value in set_.items() for part in ("--set-json", f"{key}={json.dumps(value)}")]
    manifests = rendered(TRIAL, *arguments)
    (variable,) = pods(manifests)["trial-rightcall"]["containers"][0]["env"]
    assert variable == {"name": "RIGHTCALL_REDIS", "value": url}
    for policy in ("trial-rightcall", "trial-rightcall-loader"):
        rule = the(manifests, "NetworkPolicy", policy)["spec"]["egress"][1]
        assert [one["port"] for one in rule["ports"]] == ports


def test_routes_lead_to_calls_and_not_to_metrics() -> None:
    """An Ingress and an HTTPRoute for AuthZEN have its paths alone."""
    on = "pdp.service.httpPort=80,pdp.ingress.enabled=true,pdp.ingress.backend=http,pdp.ingress.hosts={a.example.com}"
    route = "pdp.httpRoute.enabled=true,pdp.httpRoute.parentRefs[0].name=gateway"
    manifests = rendered(TRIAL, "--set", f"{on},{route}")
    (rule,) = the(manifests, "Ingress", "trial-rightcall")["spec"]["rules"]
    wanted = ["/access/v1", "/rightcall/v1", "/.well-known/authzen-configuration"]
    assert [one["path"] for one in rule["http"]["paths"]] == wanted
    (rule,) = the(manifests, "HTTPRoute", "trial-rightcall")["spec"]["rules"]
    assert [one["path"]["value"] for one in rule["matches"]] == wanted
    assert rule["backendRefs"] == [{"name": "trial-rightcall", "port": 80}]


def test_pods_have_what_is_given_to_them() -> None:
    """Containers, names, strategy and the rest, of servers and loaders."""
    manifests = rendered(EVERYTHING)
    for name in ("everything", "everything-loader"):
        deployment = the(manifests, "Deployment", name)["spec"]
        spec = deployment["template"]["spec"]
        assert deployment["revisionHistoryLimit"] == 3
        assert deployment["strategy"]["rollingUpdate"]["maxSurge"] == "50%"
        assert [one["name"] for one in spec["initContainers"]] == ["first"]
        assert [one["name"] for one in spec["containers"]][1:] == ["beside"]
        assert spec["containers"][0]["lifecycle"] == {"preStop": {"httpGet": {"path": "/healthz", "port": "http"}}}
        assert spec["hostAliases"][0]["ip"] == "10.0.0.1"
        assert spec["dnsConfig"]["options"][0]["name"] == "ndots"
        assert spec["securityContext"]["runAsUser"] == 1001
        assert spec["imagePullSecrets"] == [{"name": "registry"}, {"name": "mirror"}]


def test_further_objects_are_filled_in() -> None:
    """As objects and as texts."""
    names = {one["metadata"]["name"] for one in rendered(EVERYTHING) if one["kind"] == "ConfigMap"}
    assert {"everything-extra", "trial-text"} <= names
    assert the(rendered(GITOPS), "ConfigMap", "trial-rightcall-release")["data"] == {"chart": "0.2.0"}


def test_another_name_leaves_the_labels_as_they_are() -> None:
    """`nameOverride` is in names; selectors, which cannot be changed, stay."""
    manifests = rendered(TRIAL, "--set", "nameOverride=decisions")
    deployment = the(manifests, "Deployment", "trial-decisions")
    assert deployment["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] == "rightcall"


def test_what_gitops_renders_is_the_same_each_time_and_holds_no_secret() -> None:
    """Else each sync would find a difference."""
    first, second = rendered(GITOPS), rendered(GITOPS)
    assert first == second
    assert not {one["kind"] for one in first} & {"Secret", "Job", "Pod"}
    assert "replicas" not in the(first, "Deployment", "trial-rightcall")["spec"]


def test_alerts_lead_to_an_address() -> None:
    """A path would lead nowhere from where an alert is read."""
    manifests = rendered(TRIAL, "--set", "monitoring.rules.enabled=true")
    groups = the(manifests, "PrometheusRule", "trial-rightcall")["spec"]["groups"]
    urls = [rule["annotations"]["runbook_url"] for group in groups for rule in group["rules"] if "alert" in rule]
    assert urls
    assert all(url.startswith("https://") for url in urls)
