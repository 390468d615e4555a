"""What the chart starts is started here, outside Kubernetes: its arguments, variables and mounts, with other ports."""

from __future__ import annotations

import json
import subprocess
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest
from agi_peer import Asterisk
from chart_node import NAME, Node
from charts import CHART, EVERYTHING, EXAMPLES, MANIFESTS, Manifest, parsed, pods, rendered
from click.testing import CliRunner
from pki import Authority
from programs import run_program
from redis import Redis
from redis.exceptions import ConnectionError as RedisAway
from redis_server import RedisServer
from tools import tool
from waiting import until

from rightcall.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VALUES = CHART / "examples"
JSON = ("--set", "pdp.logFormat=json,loader.logFormat=json,pdp.settings.drainDelay=0")
EMBEDDED = ("--set", "mode=embedded,redis.bundled.enabled=false")
JOB = f"{NAME}-load-1"
ISSUED = "tls.http=true,tls.certManager.enabled=true,tls.certManager.clientCertificate=true"


@contextmanager
def bundled_redis(node: Node) -> Iterator[None]:
    """The chart's Redis, with its own arguments."""
    container = node.container(f"{NAME}-redis")
    arguments = [node.ports.get(argument, argument) for argument in container["args"]]
    command = [str(tool(container["command"][0])), *arguments]
    with (
        subprocess.Popen(command, stdout=subprocess.DEVNULL) as process,
        Redis(port=int(node.ports["6379"]), socket_timeout=2) as client,
    ):
        try:
            until(lambda: _answers(client), "the bundled Redis answers")
            yield
        finally:
            process.kill()


def _answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except RedisAway:
        return False


def _ports_fit(container: Manifest) -> None:
    """The ports that the manifest tells Kubernetes are those that the program is told."""
    addresses = [argument for argument in container["args"] if argument.startswith(("--listen=", "--http="))]
    ports = {address.rpartition(":")[2] for address in addresses}
    assert ports == {str(port["containerPort"]) for port in container["ports"]}


def _load(node: Node) -> subprocess.CompletedProcess[str]:
    """Runs ghz as the Job has it, but for a second."""
    arguments = [one for one in node.started(JOB, "ghz").arguments if not one.startswith("--duration=")]
    command = [str(tool("ghz")), *arguments, "--duration=1s", "--format=json"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def _answered(load: subprocess.CompletedProcess[str]) -> None:
    """Every call of a load test was answered."""
    assert load.returncode == 0, load.stderr
    report = json.loads(load.stdout)
    assert report["statusCodeDistribution"] == {"OK": report["count"]}
    assert report["count"] > 0


def test_the_trial_works_as_it_is_rendered(tmp_path: Path) -> None:
    """Redis, loader and server start as the manifests say, the probes find what they should, and `helm test` passes."""
    node = Node(rendered(VALUES / "trial.yaml", *JSON), tmp_path)
    container = node.container(NAME)
    _ports_fit(container)
    with ExitStack() as running:
        running.enter_context(bundled_redis(node))
        server = running.enter_context(node.started(NAME).program())
        until(lambda: node.healthy(container, "startupProbe"), "the server has started")
        assert node.healthy(container, "livenessProbe"), "a server without rules is alive"
        assert not node.healthy(container, "readinessProbe"), "a server without rules is not ready"
        loader = running.enter_context(node.started(f"{NAME}-loader").program())
        loading = node.container(f"{NAME}-loader")
        _ports_fit(loading)
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            until(lambda: node.healthy(loading, probe), f"the loader's {probe}")
        until(lambda: node.healthy(container, "readinessProbe"), "the server is ready")
        asked = run_program(*node.started(f"{NAME}-test").arguments)
        assert asked.returncode == 0, asked.stdout + asked.stderr
        answer = json.loads(asked.stdout)
        assert answer["permission"]["name"] == "emergency"
        assert loader.stop() == 0
        assert server.stop() == 0


def test_a_server_that_reads_definitions_itself_works_as_it_is_rendered(tmp_path: Path) -> None:
    """Mode embedded: no Redis, no loader, one program. The load test waits for it, and then asks it."""
    load = ("--set", "loadTest.enabled=true,loadTest.image=ghz:1,loadTest.concurrency=2,loadTest.connections=2")
    node = Node(rendered(VALUES / "trial.yaml", *JSON, *EMBEDDED, *load), tmp_path)
    container = node.container(NAME)
    waiting = node.started(JOB, "check").arguments
    assert run_program(*waiting).returncode == 4, "nobody answers yet, so the Job has to wait"
    with node.started(NAME).program() as server:
        until(lambda: node.healthy(container, "readinessProbe"), "the server is ready")
        assert run_program(*node.started(f"{NAME}-test").arguments).returncode == 0
        assert run_program(*waiting).returncode == 0
        _answered(_load(node))
        assert server.stop() == 0


def test_certificates_of_cert_manager_work_as_they_are_rendered(tmp_path: Path) -> None:
    """With mTLS and HTTPS the kubelet's probes, `helm test` and the load test get in, and others do not."""
    issued = f"{ISSUED},tls.certManager.issuer.name=voice,pdp.auth=mtls"
    load = "loadTest.enabled=true,loadTest.image=ghz:1,loadTest.concurrency=2,loadTest.connections=2"
    manifests = rendered(VALUES / "trial.yaml", *JSON, *EMBEDDED, "--set", f"{issued},{load}")
    node = Node(manifests, tmp_path, _issued(manifests, tmp_path))
    container = node.container(NAME)
    with node.started(NAME).program() as server:
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            until(lambda: node.healthy(container, probe), probe)
        asking = node.started(f"{NAME}-test").arguments
        asked = run_program(*asking)
        assert asked.returncode == 0, asked.stdout + asked.stderr
        stranger = [one for one in asking if not one.startswith(("--certificate-file=", "--key-file="))]
        assert run_program(*stranger, "--timeout=2").returncode == 4
        _answered(_load(node))
        assert server.stop() == 0


def _issued(manifests: list[Manifest], files: Path) -> dict[str, dict[str, str]]:
    """What cert-manager would put into the Secrets of the Certificates."""
    directory = files / "authority"
    directory.mkdir()
    authority = Authority(directory)
    made = {}
    for certificate in (one["spec"] for one in manifests if one["kind"] == "Certificate"):
        names = tuple(certificate["dnsNames"])
        # The test reaches the server at an address, which stands for the Service's name.
        addresses = ("127.0.0.1",) if NAME in names else ()
        pair = authority.issue(certificate["secretName"], dns=names, addresses=addresses)
        trusted = authority.file.read_text()
        made[certificate["secretName"]] = {
            "tls.crt": pair.chain.read_text(),
            "tls.key": pair.key_file.read_text(),
            "ca.crt": trusted,
        }
    return made


def test_the_sidecars_of_asterisk_work_as_they_are_written(tmp_path: Path) -> None:
    """A server on a Unix socket and the FastAGI adapter beside it decide Asterisk's calls."""
    trial = parsed((VALUES / "trial.yaml").read_text())[0]
    with RedisServer() as redis, ExitStack() as running:
        secrets = {
            "rightcall-key": {"key": trial["secretKey"]["value"]},
            "rightcall-redis": {"url": redis.url},
            "rightcall-definitions": trial["definitions"]["files"],
        }
        (manifest,) = MANIFESTS
        node = Node([*rendered(VALUES / "sidecar.yaml"), *parsed(manifest.read_text())], tmp_path, secrets)
        running.enter_context(node.started(f"{NAME}-loader").program())
        container = node.container("asterisk", "rightcall")
        running.enter_context(node.started("asterisk", "rightcall").program())
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            until(lambda: node.healthy(container, probe), probe)
        adapter = running.enter_context(node.started("asterisk", "rightcall-agi").program())
        adapter.wait_for("agi_started")
        for probe in ("startupProbe", "livenessProbe"):
            until(lambda: node.healthy(node.container("asterisk", "rightcall-agi"), probe), probe)
        address = f"127.0.0.1:{node.ports['4573']}"
        for dialled, verdict in (("112", "ALLOW"), ("0900123456", "DENY")):
            caller = trial["test"]["caller"]
            channel = {"WAZO_USERUUID": caller, "WAZO_DSTNUM": dialled, "WAZO_OUTCALLID": "1"}
            assert Asterisk(channel).call(address)["WAZO_AUTHORIZATION"] == verdict


@pytest.mark.parametrize("values", [*EXAMPLES, EVERYTHING], ids=lambda path: path.stem)
def test_every_example_gives_options_that_the_programs_know(values: Path) -> None:
    """Where Redis and secrets are elsewhere, the programs' own parsers take the arguments all the same."""
    for name, spec in pods(rendered(values)).items():
        container, *_ = spec["containers"]  # what is beside it is not ours
        if container["name"] not in ("redis", "ghz"):
            done = CliRunner().invoke(main, [*container["args"], "--help"])
            assert done.exit_code == 0, f"{name}: {done.output}"
