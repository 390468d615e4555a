"""What the chart starts is started here, outside Kubernetes: its arguments, variables and mounts, with other ports."""

from __future__ import annotations

import http.client
import json
import subprocess
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple

import grpc
import pytest
from charts import CHART, Manifest, pods, rendered, the
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from programs import Program, run_program
from redis import Redis
from redis.exceptions import ConnectionError as RedisAway
from redis_server import free_port
from tools import tool
from waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXAMPLES = CHART / "examples"
NAME = "trial-rightcall"
JSON = ("--set", "pdp.logFormat=json,loader.logFormat=json,pdp.settings.drainDelay=0")


class Started(NamedTuple):
    """A program as a container has it."""

    arguments: list[str]
    variables: dict[str, str]


class Node:
    """Gives containers what a node would give them: files for their mounts, and addresses."""

    def __init__(self, manifests: list[Manifest], files: Path) -> None:
        self.ports = {port: str(free_port()) for port in ("50051", "9464", "9465", "6379")}
        self._manifests = manifests
        self._files = files
        self._pods = pods(manifests)

    def container(self, pod: str) -> Manifest:
        """A pod's only container."""
        (found,) = self._pods[pod]["containers"]
        container: Manifest = found
        return container

    def started(self, pod: str) -> Started:
        """A pod's program; its mounts lead to files of the test, its ports to free ones."""
        container = self.container(pod)
        moved = self._mounted(pod, container)
        moved |= {f":{port}": f":{free}" for port, free in self.ports.items()}
        moved |= {f"{NAME}-redis:": "127.0.0.1:", f"{NAME}:": "127.0.0.1:"}
        variables = {one["name"]: _replaced(one["value"], moved) for one in container.get("env", ())}
        return Started([_replaced(argument, moved) for argument in container["args"]], variables)

    def _mounted(self, pod: str, container: Manifest) -> dict[str, str]:
        """Where each mount's directory is, by its path in the container."""
        volumes = (
            {volume["name"]: volume for volume in self._pods[pod]["volumes"]} if "volumes" in self._pods[pod] else {}
        )
        moved: dict[str, str] = {}
        for mount in container.get("volumeMounts", ()):
            secret = volumes[mount["name"]]["secret"]
            directory = self._files / secret["secretName"]
            directory.mkdir(exist_ok=True)
            content = the(self._manifests, "Secret", secret["secretName"])["stringData"]
            paths = {item["key"]: item["path"] for item in secret.get("items", ())}
            for key, text in content.items():
                (directory / paths.get(key, key)).write_text(text)
            moved[mount["mountPath"]] = str(directory)
        return moved


def _replaced(text: str, moved: dict[str, str]) -> str:
    for old, new in moved.items():
        text = text.replace(old, new)
    return text


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


def _healthy(node: Node, container: Manifest, probe: str) -> bool:
    """What the kubelet would find."""
    wanted = container[probe]
    if "httpGet" in wanted:
        (port,) = [one["containerPort"] for one in container["ports"] if one["name"] == wanted["httpGet"]["port"]]
        connection = http.client.HTTPConnection("127.0.0.1", int(node.ports[str(port)]), timeout=2)
        try:
            connection.request("GET", wanted["httpGet"]["path"])
            return connection.getresponse().status == http.HTTPStatus.OK
        except ConnectionError:
            return False
        finally:
            connection.close()
    with grpc.insecure_channel(f"127.0.0.1:{node.ports[str(wanted['grpc']['port'])]}") as channel:
        try:
            request = HealthCheckRequest(service=wanted["grpc"]["service"])
            answer = HealthStub(channel).Check(request, timeout=2)  # type: ignore[attr-defined] # made at run time
        except grpc.RpcError:
            return False
        return bool(answer.status == HealthCheckResponse.SERVING)


def _ports_fit(container: Manifest) -> None:
    """The ports that the manifest tells Kubernetes are those that the program is told."""
    addresses = [argument for argument in container["args"] if argument.startswith(("--listen=", "--http="))]
    ports = {address.rpartition(":")[2] for address in addresses}
    assert ports == {str(port["containerPort"]) for port in container["ports"]}


def test_the_trial_works_as_it_is_rendered(tmp_path: Path) -> None:
    """Redis, loader and server start as the manifests say, the probes find what they should, and `helm test` passes."""
    node = Node(rendered(EXAMPLES / "trial.yaml", *JSON), tmp_path)
    container = node.container(NAME)
    _ports_fit(container)
    with ExitStack() as running:
        running.enter_context(bundled_redis(node))
        server = running.enter_context(_program(node.started(NAME)))
        until(lambda: _healthy(node, container, "startupProbe"), "the server has started")
        assert _healthy(node, container, "livenessProbe"), "a server without rules is alive"
        assert not _healthy(node, container, "readinessProbe"), "a server without rules is not ready"
        loader = running.enter_context(_program(node.started(f"{NAME}-loader")))
        loading = node.container(f"{NAME}-loader")
        _ports_fit(loading)
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            until(lambda: _healthy(node, loading, probe), f"the loader's {probe}")
        until(lambda: _healthy(node, container, "readinessProbe"), "the server is ready")
        asked = run_program(*node.started(f"{NAME}-test").arguments)
        assert asked.returncode == 0, asked.stdout + asked.stderr
        answer = json.loads(asked.stdout)
        assert answer["permission"]["name"] == "emergency"
        assert loader.stop() == 0
        assert server.stop() == 0


def test_a_server_that_reads_definitions_itself_works_as_it_is_rendered(tmp_path: Path) -> None:
    """Mode embedded: no Redis, no loader, one program."""
    embedded = ("--set", "mode=embedded,redis.bundled.enabled=false")
    node = Node(rendered(EXAMPLES / "trial.yaml", *JSON, *embedded), tmp_path)
    container = node.container(NAME)
    with _program(node.started(NAME)) as server:
        until(lambda: _healthy(node, container, "readinessProbe"), "the server is ready")
        assert run_program(*node.started(f"{NAME}-test").arguments).returncode == 0
        assert server.stop() == 0


@pytest.mark.parametrize("example", ["production", "daemonset"])
def test_the_other_examples_give_options_that_the_programs_know(example: str) -> None:
    """Their Redis and their secrets are elsewhere; the programs' own parsers take the arguments all the same."""
    for name, spec in pods(rendered(EXAMPLES / f"{example}.yaml")).items():
        (container,) = spec["containers"]
        done = run_program(*container["args"], "--help")
        assert done.returncode == 0, f"{name}: {done.stderr}"


def _program(started: Started) -> Program:
    return Program(*started.arguments, **started.variables)
