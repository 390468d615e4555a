"""Starts what the chart's manifests say, outside Kubernetes: a node's part, with files and ports of the test."""

from __future__ import annotations

import http.client
import re
import ssl
from typing import TYPE_CHECKING, NamedTuple

import grpc
from charts import Manifest, pods, the
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from programs import Program
from redis_server import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NAME = "trial-rightcall"
"""What the release's servers are called."""
_PORTS = ("50051", "9464", "9465", "9466", "6379", "4573")


class Started(NamedTuple):
    """A program as a container has it."""

    arguments: list[str]
    variables: dict[str, str]

    def program(self) -> Program:
        """The program itself, as a context manager."""
        return Program(*self.arguments, **self.variables)


class Node:
    """Gives containers what a node would give them: files for their mounts, variables, and addresses.

    Args:
        manifests: those with the pods, and with the Secrets and ConfigMaps that they mount.
        files: a directory of the test's own.
        secrets: what is in the Secrets that the manifests only name, by name and key.
    """

    def __init__(
        self, manifests: list[Manifest], files: Path, secrets: Mapping[str, Mapping[str, str]] | None = None
    ) -> None:
        self.ports = {port: str(free_port()) for port in _PORTS}
        self._manifests = manifests
        self._files = files
        self._pods = pods(manifests)
        self._secrets = dict(secrets or {})

    def container(self, pod: str, name: str = "") -> Manifest:
        """A pod's container of this name, sidecars included; without a name its only one."""
        spec = self._pods[pod]
        (found,) = [one for one in (*spec.get("initContainers", ()), *spec["containers"]) if name in ("", one["name"])]
        container: Manifest = found
        return container

    def started(self, pod: str, name: str = "") -> Started:
        """A container's program; its mounts lead to files of the test, its ports to free ones."""
        container = self.container(pod, name)
        places = _Places(self._mounted(pod, container), self.ports)
        variables = {one["name"]: places.of(self._value(one)) for one in container.get("env", ())}
        return Started([places.of(argument) for argument in container["args"]], variables)

    def healthy(self, container: Manifest, probe: str) -> bool:
        """What the kubelet would find."""
        wanted = container[probe]
        if "httpGet" in wanted:
            return self._answers(container, wanted["httpGet"])
        with grpc.insecure_channel(f"127.0.0.1:{self.ports[str(wanted['grpc']['port'])]}") as channel:
            try:
                request = HealthCheckRequest(service=wanted["grpc"]["service"])
                answer = HealthStub(channel).Check(request, timeout=2)  # type: ignore[attr-defined] # made at run time
            except grpc.RpcError:
                return False
            return bool(answer.status == HealthCheckResponse.SERVING)

    def _answers(self, container: Manifest, wanted: Manifest) -> bool:
        (port,) = [one["containerPort"] for one in container["ports"] if one["name"] == wanted["port"]]
        address = ("127.0.0.1", int(self.ports[str(port)]))
        if wanted.get("scheme") == "HTTPS":
            # The kubelet takes any certificate, too.
            context = ssl._create_unverified_context()  # noqa: S323
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(*address, timeout=2, context=context)
        else:
            connection = http.client.HTTPConnection(*address, timeout=2)
        try:
            connection.request("GET", wanted["path"])
            return connection.getresponse().status == http.HTTPStatus.OK
        except ConnectionError:
            return False
        finally:
            connection.close()

    def _mounted(self, pod: str, container: Manifest) -> dict[str, str]:
        """Where each mount's directory is, by its path in the container."""
        volumes = {volume["name"]: volume for volume in self._pods[pod].get("volumes", ())}
        moved: dict[str, str] = {}
        for mount in container.get("volumeMounts", ()):
            volume = volumes[mount["name"]]
            directory = self._files / mount["name"]
            directory.mkdir(exist_ok=True)
            for file, text in self._content(volume).items():
                (directory / file).write_text(text)
            moved[mount["mountPath"]] = str(directory)
        return moved

    def _content(self, volume: Manifest) -> dict[str, str]:
        """The files of a volume, by name."""
        if "emptyDir" in volume:
            return {}
        if "configMap" in volume:
            data: dict[str, str] = the(self._manifests, "ConfigMap", volume["configMap"]["name"])["data"]
            return data
        content = self._secret(volume["secret"]["secretName"])
        items = volume["secret"].get("items")
        return {item["path"]: content[item["key"]] for item in items} if items else dict(content)

    def _secret(self, name: str) -> Mapping[str, str]:
        if name in self._secrets:
            return self._secrets[name]
        content: dict[str, str] = the(self._manifests, "Secret", name)["stringData"]
        return content

    def _value(self, variable: Manifest) -> str:
        if "value" in variable:
            return str(variable["value"])
        wanted = variable["valueFrom"]["secretKeyRef"]
        return self._secret(wanted["name"])[wanted["key"]]


class _Places(NamedTuple):
    """Where things are that a container has elsewhere."""

    mounts: dict[str, str]
    ports: dict[str, str]

    def of(self, text: str) -> str:
        """An argument or a variable, with the files, addresses and ports of the test."""
        if self.mounts:
            # All at once: a path that is put in may have another mount's in it.
            text = re.sub("|".join(map(re.escape, self.mounts)), lambda match: self.mounts[match[0]], text)
        for name in (f"{NAME}-redis", NAME):
            text = text.replace(f"{name}:", "127.0.0.1:")
        for port, free in self.ports.items():
            text = text.replace(f":{port}", f":{free}")
        return text
