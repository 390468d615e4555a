"""Every option of the programs has its value in the chart, and every value does what it says in the manifests."""

from __future__ import annotations

from typing import Any, Final

import click
import pytest
import yaml
from charts import CHART, EVERYTHING, ROOT, Manifest, pods, refusal, rendered, the

from rightcall.cli import main

TRIAL, EMBEDDED, DAEMONSET, PRODUCTION, SIDECAR = (
    CHART / "examples" / f"{name}.yaml" for name in ("trial", "embedded", "daemonset", "production", "sidecar")
)
ISSUED: Final = "tls.certManager.enabled=true,tls.certManager.issuer.name=voice"
JWT: Final = "pdp.auth=jwt,pdp.jwt.jwksUrl=https://a/keys,pdp.jwt.audience=pdp,pdp.jwt.issuer=https://a"

WITHOUT_A_VALUE: Final = {
    "serve": {
        "--help": "ends the program",
        "--listen-mode": "is about Unix sockets, and a server of the chart listens on a port",
        "--workers": "is outdated; pdp.workers has it where values of an older chart do",
    },
    "load": {
        "--help": "ends the program",
        "--once": "ends the program, which Kubernetes would start again",
        "--dry-run": "publishes nothing",
        "--candidate": "ends the program, like --once",
        "--author": "goes with --once",
        "--message": "goes with --once",
        "--accept-removal": "confirms one removal and must not stay; loader.extraArgs has it for one upgrade",
        "--name": "host and process, which is the default, is the name of the pod",
    },
}
"""Options that the chart gives to nobody, and why."""
CHOSEN: Final = {
    "maxConnectionAge": "connections have to come to new servers by themselves",
    "maxConnectionAgeGrace": "goes with it",
    "drainDelay": "Kubernetes needs a moment to take a pod off its Services",
}
"""Settings whose default in the chart is not the program's, and why."""


def options_of(name: str) -> dict[str, click.Option]:
    """The options of a command, by their names."""
    command = main.get_command(click.Context(main), name)
    assert command is not None
    with_help = command.get_params(click.Context(command))
    # The longest name: of --help and -h either may come first.
    return {max(option.opts, key=len): option for option in with_help if isinstance(option, click.Option)}


def given(container: Manifest) -> set[str]:
    """The options that a container gives its program, as arguments or by their variables."""
    variables = {one["name"] for one in container.get("env", ()) if one["name"].startswith("RIGHTCALL_")}
    named = {"--" + name.removeprefix("RIGHTCALL_").lower().replace("_", "-") for name in variables}
    return {argument.partition("=")[0] for argument in container["args"] if argument.startswith("--")} | named


def container_of(manifests: list[Manifest], name: str) -> Manifest:
    """The first container of this name; sidecars and those that go before are none."""
    container: Manifest
    container, *_ = [one for spec in pods(manifests).values() for one in spec["containers"] if one["name"] == name]
    return container


def argument(container: Manifest, option: str) -> list[str]:
    """What an option is given, each time that it is."""
    return [one.partition("=")[2] for one in container["args"] if one.partition("=")[0] == option]


def test_every_option_of_the_programs_has_a_value_or_a_reason() -> None:
    """A new option of `serve` or `load` needs a value in the chart, or a reason why it has none."""
    ways: list[list[Manifest]] = [
        rendered(EVERYTHING, "--set", "pdp.extraArgs=null,loader.extraArgs=null"),
        rendered(EMBEDDED, "--set", f"{JWT},test.enabled=false,isolateFaults=true"),
    ]
    for program, container in (("serve", "pdp"), ("load", "loader")):
        found = [one for manifests in ways for spec in pods(manifests).values() for one in spec["containers"]]
        reached = set[str]().union(*(given(one) for one in found if one["name"] == container))
        options = set(options_of(program))
        without = set(WITHOUT_A_VALUE[program])
        assert options - reached == without, "give it a value in values.yaml and _options.tpl, or a reason here"
        assert reached <= options


def test_the_settings_have_the_names_and_the_defaults_of_the_options() -> None:
    """Who reads the program's manual knows what a server of the chart does, but for a few choices with a reason."""
    settings: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())["pdp"]["settings"]
    options = options_of("serve")
    different = set()
    for name, value in settings.items():
        option = options["--" + "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name)]
        default = option.get_default(click.Context(main))
        if (default or 0) != value:
            different.add(name)
    assert different == set(CHOSEN)


@pytest.mark.parametrize(("http", "scheme"), [("true", "HTTPS"), ("false", "HTTP")])
def test_kubernetes_asks_the_http_port(http: str, scheme: str) -> None:
    """As that port speaks: strangers who keep gRPC's own health busy take no server off its Service."""
    manifests = rendered(TRIAL, "--set", f"{ISSUED},tls.http={http},monitoring.serviceMonitor.enabled=true")
    container = container_of(manifests, "pdp")
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http", "scheme": scheme}
    for probe in ("startupProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/healthz", "port": "http", "scheme": scheme}
    (endpoint,) = the(manifests, "ServiceMonitor", "trial-rightcall")["spec"]["endpoints"]
    assert endpoint.get("scheme", "http").upper() == scheme


def test_a_bound_on_staleness_is_passed_on() -> None:
    """`maxStaleness` counts for `/readyz`, which Kubernetes asks."""
    container = container_of(rendered(TRIAL, "--set", "pdp.settings.maxStaleness=600"), "pdp")
    assert argument(container, "--max-staleness") == ["600"]


@pytest.mark.parametrize(("workers", "passed_on"), [("1", []), ("4", ["4"]), ("auto", ["auto"])])
def test_workers_of_older_values_go_on_to_the_program(workers: str, passed_on: list[str]) -> None:
    """Which takes them as threads; 1, the old default, says nothing."""
    container = container_of(rendered(TRIAL, "--set", f"pdp.workers={workers}"), "pdp")
    assert argument(container, "--workers") == passed_on


def test_who_asks_finds_its_name_in_the_certificate() -> None:
    """`helm test`, the load test and Prometheus check the name under which they ask."""
    manifests = rendered(EVERYTHING, "--set", "test.target=")
    names = the(manifests, "Certificate", "everything-tls")["spec"]["dnsNames"]
    (target,) = argument(container_of(manifests, "check"), "--target")
    (endpoint,) = the(manifests, "ServiceMonitor", "everything")["spec"]["endpoints"]
    assert {target, container_of(manifests, "ghz")["args"][-1]} == {"everything:443"}
    assert {"everything", "everything.tel.svc", endpoint["tlsConfig"]["serverName"], "pdp.example.com"} <= set(names)
    assert the(manifests, "Certificate", "everything-client")["spec"]["usages"][-1] == "client auth"


def test_who_asks_is_not_given_the_servers_private_key() -> None:
    """Of the Secret of the certificate, `helm test` and the load test see the authority alone."""
    for name in ("everything-test", "everything-load-1"):
        volumes = {one["name"]: one for one in pods(rendered(EVERYTHING))[name]["volumes"]}
        assert volumes["ca"]["secret"]["secretName"] == "everything-tls"
        assert volumes["ca"]["secret"]["items"] == [{"key": "ca.crt", "path": "ca.crt"}]


def test_an_authority_that_everybody_trusts_needs_no_file() -> None:
    """Then the Secret has no `ca.crt` that could be mounted."""
    manifests = rendered(TRIAL, "--set", f"{ISSUED},tls.publiclyTrusted=true,test.target=pdp.example.org:443")
    assert "volumes" not in pods(manifests)["trial-rightcall-test"]
    assert argument(container_of(manifests, "check"), "--tls") == [""]


def test_a_server_without_tls_is_told_apart_from_one_with_it() -> None:
    """A mesh or a proxy reads from the Service whether it is HTTP/2 in the clear."""
    for sets, protocol in (((), "kubernetes.io/h2c"), (("--set", ISSUED), "https")):
        (port,) = the(rendered(TRIAL, *sets), "Service", "trial-rightcall")["spec"]["ports"]
        assert port["appProtocol"] == protocol


def test_servers_that_run_elsewhere_leave_nothing_of_theirs_here() -> None:
    """Loaders alone: nothing selects, scales, tests or watches servers that are not there."""
    switched = "networkPolicy.enabled,monitoring.serviceMonitor.enabled,pdp.autoscaling.enabled,tls.certManager.enabled"
    on = ",".join(f"{one}=true" for one in switched.split(","))
    manifests = rendered(SIDECAR, "--set", f"{on},tls.certManager.issuer.name=voice")
    names = {(one["kind"], one["metadata"]["name"]) for one in manifests}
    loader = {"Deployment", "NetworkPolicy", "PodDisruptionBudget", "PodMonitor"}
    assert names == {*((kind, "trial-rightcall-loader") for kind in loader), ("ServiceAccount", "trial-rightcall")}


def test_a_daemon_set_has_no_disruption_budget() -> None:
    """Kubernetes cannot count the pods that one should have, and draining a node leaves them alone."""
    kinds = [(one["kind"], one["metadata"]["name"]) for one in rendered(DAEMONSET)]
    assert ("PodDisruptionBudget", "trial-rightcall") not in kinds
    assert ("PodDisruptionBudget", "trial-rightcall-loader") in kinds


def test_autoscalers_aim_at_the_metrics_of_the_adapter() -> None:
    """The custom metrics have the names that files/prometheus-adapter.yaml makes."""
    metrics = the(rendered(PRODUCTION), "HorizontalPodAutoscaler", "trial-rightcall")["spec"]["metrics"]
    adapter = yaml.safe_load((CHART / "files" / "prometheus-adapter.yaml").read_text())["rules"]
    asked = {one["pods"]["metric"]["name"]: one["pods"]["target"]["averageValue"] for one in metrics if "pods" in one}
    assert asked == {"rightcall_decisions_per_second": "1500", "rightcall_check_duration_p99_seconds": "500u"}
    assert set(asked) == {rule["name"]["as"] for rule in adapter}


def test_the_load_test_asks_what_helm_test_asks_unless_told_otherwise() -> None:
    """Without questions of its own it has the one of `test`, with those given it has these."""
    on = "loadTest.enabled=true,loadTest.image=ghz:1"
    (asked,) = yaml.safe_load(
        the(rendered(TRIAL, "--set", on), "ConfigMap", "trial-rightcall-load")["data"]["data.json"]
    )
    assert asked == {"extension": "112", "caller": "a11ce000-0000-4000-8000-000000000001", "outcall": "1"}
    own = the(rendered(EVERYTHING), "ConfigMap", "everything-load")["data"]["data.json"]
    assert yaml.safe_load(own) == yaml.safe_load(EVERYTHING.read_text())["loadTest"]["questions"]


def test_the_load_test_speaks_the_server_s_protocol() -> None:
    """The chart has its own copy of the .proto, since Helm reads nothing beside the chart: cp it after a change."""
    proto = (ROOT / "protos" / "rightcall" / "v1" / "decision.proto").read_text()
    assert (CHART / "files" / "decision.proto").read_text() == proto
    data = the(rendered(EVERYTHING), "ConfigMap", "everything-load")["data"]
    assert data["decision.proto"].rstrip() == proto.rstrip()


def test_the_longest_name_fits_every_kind() -> None:
    """The name of a Job's pod is a label, of 63 characters at most, revision included."""
    long = "n" * 60
    for manifest in rendered(EVERYTHING, "--set", f"fullnameOverride={long}"):
        most = 58 if manifest["kind"] == "Job" else 63
        assert len(manifest["metadata"]["name"]) - 1 <= most, manifest["kind"]


CONTRADICTIONS = {
    "fewest servers above most": (
        "pdp.autoscaling.enabled=true,pdp.autoscaling.minReplicas=20",
        "minReplicas 20 above maxReplicas 10; raise the latter",
    ),
    "labels of all in place of a selector's": (
        r"commonLabels.app\.kubernetes\.io/instance=other",
        "commonLabels must not set app.kubernetes.io/instance",
    ),
    "labels of servers in place of a selector's": (
        r"pdp.podLabels.app\.kubernetes\.io/component=other",
        "pdp.podLabels must not set app.kubernetes.io/component",
    ),
    "labels of loaders in place of a selector's": (
        r"loader.podLabels.app\.kubernetes\.io/name=other",
        "loader.podLabels must not set app.kubernetes.io/name",
    ),
    "AuthZEN without a port": (
        "pdp.httpRoute.enabled=true,pdp.httpRoute.parentRefs[0].name=a",
        "set pdp.service.httpPort",
    ),
    "an Ingress to a port that is not there": (
        "pdp.ingress.enabled=true,pdp.ingress.backend=http,pdp.ingress.hosts={a}",
        "set pdp.service.httpPort",
    ),
    "two ports that are one": ("pdp.service.httpPort=50051", "give each a port of its own"),
    "an Ingress for no host": ("pdp.ingress.enabled=true", "set pdp.ingress.hosts"),
    "a route of no Gateway": ("pdp.grpcRoute.enabled=true", "set pdp.grpcRoute.parentRefs"),
    "metrics that nobody reaches": (
        "networkPolicy.enabled=true,networkPolicy.clients[0].podSelector.matchLabels.a=b,monitoring.serviceMonitor.enabled=true",
        "set networkPolicy.monitoring",
    ),
    "two certificates": (f"{ISSUED},tls.existingSecret=a", "exclude each other"),
    "nobody who issues": ("tls.certManager.enabled=true", "set tls.certManager.issuer.name"),
    "HTTPS without a certificate": ("tls.http=true", "no TLS without a certificate"),
    "mTLS without authorities": ("pdp.auth=mtls,tls.existingSecret=a", "set tls.certManager.enabled, or"),
    "names of clients that show none": (f"{ISSUED},tls.clientNames={{a}}", "set tls.clientCASecret"),
    "tokens without clients": ("pdp.auth=tokens", "then set pdp.clients.existingSecret"),
    "tokens without one to test with": (
        f"{ISSUED},pdp.auth=tokens,pdp.clients.existingSecret=a",
        "then set test.tokenSecret",
    ),
    "tokens in the clear": (
        "pdp.auth=tokens,pdp.clients.existingSecret=a,test.tokenSecret=a",
        "tokens are sent over TLS alone",
    ),
    "JWTs of anybody": ("pdp.auth=jwt", "needs to know whose tokens are good"),
    "mTLS without a certificate to test with": (f"{ISSUED},pdp.auth=mtls", "set tls.certManager.clientCertificate"),
    "two decision logs": ("pdp.decisionLog.to=stdout,pdp.decisionLog.existingSecret=a", "exclude each other"),
    "traces that nobody switched on": ("tracing.endpoint=http://a:4317", "set tracing.enabled, too"),
    "a load test without ghz": ("loadTest.enabled=true", "set loadTest.image"),
    "a load test without a token": (
        f"{ISSUED},pdp.auth=tokens,pdp.clients.existingSecret=a,test.tokenSecret=a,loadTest.enabled=true,loadTest.image=a",
        "set loadTest.metadataSecret",
    ),
    "a load test that cannot wait": (
        "loadTest.enabled=true,loadTest.image=a,test.enabled=false",
        "set test.enabled: true",
    ),
    "a load test of nobody": ("loadTest.enabled=true,loadTest.image=a,pdp.enabled=false", "no servers to test"),
    "no server at all": ("mode=embedded,redis.bundled.enabled=false,pdp.enabled=false", "set pdp.enabled: true"),
    "a Wazo user and no Wazo": ("loader.wazo.username=a", "set loader.source to confd+https://"),
    "a Wazo user without a password": (
        "definitions.files=null,loader.source=confd+https://a,loader.wazo.username=a",
        "then set loader.wazo.existingSecret",
    ),
}


@pytest.mark.parametrize(("settings", "advice"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_contradictions_are_refused_with_advice(settings: str, advice: str) -> None:
    """What would end as a pod that never gets ready is refused before anything is installed."""
    assert advice in refusal("-f", TRIAL, "--set", settings)
