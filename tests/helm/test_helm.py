from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from charts import (
    CHART,
    EVERYTHING,
    EXAMPLES,
    KUBERNETES,
    MANIFESTS,
    Manifest,
    helm,
    parsed,
    pods,
    refusal,
    rendered,
    template,
    the,
)

TRIAL, PRODUCTION, DAEMONSET, EMBEDDED = (
    CHART / "examples" / f"{name}.yaml" for name in ("trial", "production", "daemonset", "embedded")
)

each_example = pytest.mark.parametrize("values", EXAMPLES, ids=lambda path: path.stem)


@each_example
def test_every_example_passes_the_strict_lint(values: Path) -> None:
    """Helm itself finds nothing wrong with the chart."""
    done = helm("lint", "--strict", "--kube-version", KUBERNETES[1], CHART, "-f", values)
    assert done.returncode == 0, done.stdout + done.stderr


def test_everything_has_the_labels_that_everything_is_to_have() -> None:
    """`commonLabels` are on each manifest, and on each pod, where costs and policies look for them."""
    manifests = rendered(EVERYTHING)
    for manifest in manifests:
        assert manifest["metadata"]["labels"]["team"] == "voice"
    made = [one["spec"]["template"] for one in manifests if one["kind"] in {"Deployment", "Job"}]
    assert {template["metadata"]["labels"]["team"] for template in made} == {"voice"}


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a typo at the top": ({"pdq": {}}, "pdq"),
    "a typo within": ({"pdp": {"replica": 3}}, "replica"),
    "a typo in a limit": ({"pdp": {"settings": {"maxConnectionAges": 3}}}, "maxConnectionAges"),
    "text for a number": ({"pdp": {"replicas": "three"}}, "replicas"),
    "no server at all": ({"pdp": {"replicas": 0}}, "replicas"),
    "no loader, in place of loader.enabled": ({"loader": {"replicas": 0}}, "replicas"),
    "another mode": ({"mode": "cluster"}, "mode"),
    "another kind": ({"pdp": {"kind": "StatefulSet"}}, "kind"),
    "a password in the URL": ({"redis": {"url": "redis://user:secret@redis:6379/0"}}, "url"),
    "a key that is too short": ({"secretKey": {"value": "short"}}, "value"),
    "a file that is no definitions file": ({"definitions": {"files": {"company.txt": "x"}}}, "company.txt"),
    "a digest that is none": ({"image": {"digest": "latest"}}, "digest"),
    "a level that is not there": ({"loader": {"logLevel": "verbose"}}, "logLevel"),
    "a limit below all": ({"pdp": {"settings": {"challengeAttempts": -1}}}, "challengeAttempts"),
    "a share beyond all": ({"pdp": {"decisionLog": {"sample": {"allow": 2}}}}, "allow"),
    "a decision that there is not": ({"pdp": {"decisionLog": {"sample": {"maybe": 1}}}}, "maybe"),
    "a password in the decision log's URL": ({"pdp": {"decisionLog": {"to": "redis://a:b@redis:6379/0"}}}, "to"),
    "keys of tokens in the clear": ({"pdp": {"jwt": {"jwksUrl": "http://issuer/keys"}}}, "jwksUrl"),
    "a duration without a unit": ({"tls": {"certManager": {"duration": "90"}}}, "duration"),
    "an option of an issuer that there is not": ({"tls": {"certManager": {"issuerRef": {}}}}, "issuerRef"),
    "a question that is none": ({"loadTest": {"questions": [{"dialled": "112"}]}}, "dialled"),
    "a budget of nothing": ({"loader": {"disruptionBudget": {"maxUnavailable": 0}}}, "maxUnavailable"),
    "a part beyond the whole": ({"loader": {"maxRemoval": 1.5}}, "maxRemoval"),
    "a latency without end": ({"pdp": {"autoscaling": {"targetLatency": "0.5 ms"}}}, "targetLatency"),
    "a port beyond all": ({"networkPolicy": {"redisPort": 70000}}, "redisPort"),
}


@pytest.mark.parametrize(("values", "named"), WRONG.values(), ids=WRONG)
def test_wrong_values_are_refused_by_name(values: dict[str, Any], named: str, tmp_path: Path) -> None:
    """The schema refuses what cannot be meant, and says which value it is."""
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(values))
    message = refusal("-f", TRIAL, "-f", path)
    assert "don't meet the specifications of the schema" in message
    assert named in message


CONTRADICTIONS = {
    "no Redis": (TRIAL, "redis.bundled.enabled=false", "set one of redis.url, redis.existingSecret"),
    "two of them": (TRIAL, "redis.url=redis://redis:6379/0", "redis.url and redis.bundled.enabled are given"),
    "Redis that nobody uses": (EMBEDDED, "redis.url=redis://redis:6379/0", "mode embedded uses no Redis"),
    "no definitions": (TRIAL, "definitions.files=null", "where are the call permissions?"),
    "definitions twice": (TRIAL, "definitions.existingSecret=other", "exclude each other"),
    "no key": (TRIAL, "secretKey.value=", "needs a secret key"),
    "two keys": (TRIAL, "secretKey.existingSecret=other", "exclude each other"),
    "a DaemonSet that scales": (DAEMONSET, "pdp.autoscaling.enabled=true", "one server a node"),
}


@pytest.mark.parametrize(("values", "setting", "advice"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_contradictions_are_refused_with_advice(values: Path, setting: str, advice: str) -> None:
    """What no schema can see is refused all the same, before anything is installed."""
    assert advice in refusal("-f", values, "--set", setting)


@pytest.mark.parametrize("values", [*EXAMPLES, EVERYTHING, *MANIFESTS], ids=lambda path: path.stem)
def test_every_pod_is_restricted(values: Path) -> None:
    """Every pod fulfils Kubernetes' restricted profile, and gets no token."""
    for spec in pods(_manifests(values)).values():
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False, "links would set RIGHTCALL_… variables that look like options"
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"].get("runAsUser", 1) > 0, "where the platform chooses, none is given"
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in (*spec.get("initContainers", ()), *spec["containers"]):
            wanted = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
            if container["name"] != "asterisk":  # the one that is not ours
                wanted["readOnlyRootFilesystem"] = True
            assert container["securityContext"] == wanted


def _manifests(path: Path) -> list[Manifest]:
    """What Kubernetes is given for a values file, or for a file with manifests."""
    return parsed(path.read_text()) if path in MANIFESTS else rendered(path)


def test_no_password_is_in_anything_but_a_secret() -> None:
    """PINs and keys are in no argument, no variable and no ConfigMap."""
    for manifest in rendered(TRIAL):
        if manifest["kind"] != "Secret":
            text = yaml.safe_dump(manifest)
            assert "1234" not in text
            assert "only-for-trials" not in text


@pytest.mark.parametrize(("delay", "drain", "grace"), [(5, 10, 20), (0, 0, 5), (7.5, 60, 73)])
def test_a_pod_has_the_time_to_drain(delay: float, drain: float, grace: int) -> None:
    """Kubernetes kills a pod only after all the time that the server may take to stop."""
    setting = f"pdp.settings.drainDelay={delay},pdp.settings.drainSeconds={drain}"
    (spec,) = [spec for name, spec in pods(rendered(TRIAL, "--set-json", setting)).items() if name == "trial-rightcall"]
    assert spec["terminationGracePeriodSeconds"] == grace


def test_selectors_find_the_pods_that_they_are_for() -> None:
    """Services, budgets, monitors and policies select the servers, by labels that the pods have."""
    manifests = rendered(PRODUCTION)
    labels = the(manifests, "Deployment", "trial-rightcall")["spec"]["template"]["metadata"]["labels"]
    for kind in ("Service", "PodDisruptionBudget", "NetworkPolicy"):
        spec = the(manifests, kind, "trial-rightcall")["spec"]
        selector = spec.get("podSelector") or spec["selector"]
        assert selector.get("matchLabels", selector).items() <= labels.items()
    monitored = the(manifests, "ServiceMonitor", "trial-rightcall")["spec"]["selector"]["matchLabels"]
    assert monitored.items() <= the(manifests, "Service", "trial-rightcall-headless")["metadata"]["labels"].items()
    assert not monitored.items() <= the(manifests, "Service", "trial-rightcall")["metadata"]["labels"].items()


def test_loaders_are_several_and_watched() -> None:
    """One may go while another one comes; Prometheus finds their port, and tells them from the servers."""
    manifests = rendered(PRODUCTION)
    deployment = the(manifests, "Deployment", "trial-rightcall-loader")["spec"]
    assert deployment["replicas"] == 2
    assert deployment["strategy"] == {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    labels = deployment["template"]["metadata"]["labels"].items()
    (container,) = deployment["template"]["spec"]["containers"]
    monitor = the(manifests, "PodMonitor", "trial-rightcall-loader")["spec"]
    (endpoint,) = monitor["podMetricsEndpoints"]
    assert monitor["selector"]["matchLabels"].items() <= labels
    assert endpoint["port"] in {port["name"] for port in container["ports"]}
    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": "trial-rightcall-loader"}]
    policy = the(manifests, "NetworkPolicy", "trial-rightcall-loader")["spec"]
    assert policy["podSelector"]["matchLabels"].items() <= labels
    monitoring = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    assert policy["ingress"] == [{"ports": [{"port": "http", "protocol": "TCP"}], "from": monitoring}]


@pytest.mark.parametrize("setting", ["loader.enabled=false", "mode=embedded"])
def test_a_loader_that_is_not_there_is_not_watched(setting: str) -> None:
    """Neither pods nor anything that looks for them."""
    switched = "monitoring.serviceMonitor.enabled=true,redis.bundled.enabled=false"
    where = "" if setting.startswith("mode") else ",redis.url=redis://redis:6379/0"
    manifests = rendered(TRIAL, "--set", f"{switched},{setting}{where}")
    assert not [one for one in manifests if one["metadata"]["name"].endswith("-loader")]


def test_rules_and_dashboards_arrive_unchanged() -> None:
    """The operator and Grafana are given the files of the chart, with links to the operator's own runbook."""
    manifests = rendered(PRODUCTION)
    given = the(manifests, "PrometheusRule", "trial-rightcall")["spec"]
    text = (CHART / "files" / "rules.yaml").read_text()
    changed = text.replace("docs/runbook.md", "https://example.com/rightcall/runbook.html")
    own = 'absent(rightcall_tenants{namespace="tel", job="trial-rightcall"})'
    changed = changed.replace("absent(rightcall_tenants)", own)
    assert given == yaml.safe_load(changed.replace("(.+-)?rightcall-loader", "trial-rightcall-loader"))
    dashboards = the(manifests, "ConfigMap", "trial-rightcall-dashboards")["data"]
    assert dashboards == {path.name: path.read_text() for path in (CHART / "files" / "dashboards").glob("*.json")}


def test_another_key_makes_other_pods() -> None:
    """The key is read at start, so a change of it must roll the pods."""

    def annotations(key: str) -> list[Manifest]:
        made = rendered(TRIAL, "--set", f"secretKey.value={key}")
        roots = ("trial-rightcall", "trial-rightcall-loader")
        return [the(made, "Deployment", root)["spec"]["template"]["metadata"]["annotations"] for root in roots]

    first, second = annotations("sixteen bytes at least"), annotations("and another sixteen")
    assert all(one != other for one, other in zip(first, second, strict=True))


def _notes(directory: Path, *arguments: str | Path) -> str:
    """What helm shows after an installation. It does so only with a cluster; as a manifest it renders it without."""
    chart = Path(shutil.copytree(CHART, directory / "rightcall"))
    notes = (chart / "templates" / "NOTES.txt").read_text()
    manifest = 'kind: Notes\nmetadata: {name: notes}\ntext: {{ include "notes" . | quote }}'
    (chart / "templates" / "notes.yaml").write_text(f'{{{{ define "notes" }}}}{notes}{{{{ end }}}}\n{manifest}')
    done = helm("template", "trial", chart, "--kube-version", KUBERNETES[1], *arguments)
    assert done.returncode == 0, done.stderr
    text: str = the(parsed(done.stdout), "Notes", "notes")["text"]
    return text


def test_the_notes_tell_the_next_step(tmp_path: Path) -> None:
    """After the installation an operator is told how to ask, and what of a trial is not for real use."""
    shown = _notes(tmp_path, "-f", TRIAL)
    assert "helm test -n default trial --logs" in shown
    assert "trial-rightcall.default.svc:50051" in shown
    assert "The bundled Redis is for trials" in shown


def test_the_notes_tell_whom_to_trust_and_where_the_report_is(tmp_path: Path) -> None:
    """With TLS they name the authority, with client certificates who issues them, with a load test its log."""
    shown = _notes(tmp_path, "-f", EVERYTHING)
    assert "get secret everything-tls" in shown
    assert "ClusterIssuer voice" in shown
    assert "logs job/everything-load-1" in shown


def test_the_notes_of_loaders_alone_speak_of_loaders(tmp_path: Path) -> None:
    """Nobody is told to wait for servers that are not there."""
    shown = _notes(tmp_path, "-f", CHART / "examples" / "sidecar.yaml")
    assert "rollout status deployment/trial-rightcall-loader" in shown
    assert "helm test" not in shown
    assert "Let your call control ask" not in shown


def test_the_readme_lists_every_value() -> None:
    """The table in the chart's README is what values.yaml says; `python tests/support/chart_readme.py` writes it."""
    from chart_readme import README, with_table  # noqa: PLC0415 - a program of its own besides

    assert with_table(README.read_text()) == README.read_text()


def test_values_that_are_not_documented_are_noticed() -> None:
    """Every value has its line in the table."""
    from chart_readme import undocumented  # noqa: PLC0415 - a program of its own besides

    assert undocumented() == []


def test_the_defaults_are_refused_with_what_to_do() -> None:
    """An installation without values says what it needs, in place of pods that never get ready."""
    done = template()
    assert "mode redis needs to know one Redis" in done.stderr
    assert "examples/trial.yaml" in done.stderr
