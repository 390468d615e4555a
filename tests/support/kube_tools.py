"""Kubernetes' own programs, built by Go, and the definitions of the operators' resources, read from their Go modules.

``python tests/support/kube_tools.py`` builds kube-apiserver and kubectl: ten minutes on two cores, once.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import yaml
from tools import ToolMissing, cache

RELEASE: Final = "1.37.2"
"""Of Kubernetes."""
PROGRAMS: Final = ("kube-apiserver", "kubectl")
DEFINITIONS: Final = {
    "github.com/prometheus-operator/prometheus-operator@v0.93.1": (
        "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
        "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml",
        "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
    ),
    "github.com/cert-manager/cert-manager@v1.21.2": ("deploy/crds/cert-manager.io_certificates.yaml",),
    "sigs.k8s.io/gateway-api@v1.4.0": (
        "config/crd/standard/gateway.networking.k8s.io_grpcroutes.yaml",
        "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",
    ),
}
"""Files with custom resource definitions, by Go module and version."""
_VERSION_OF: Final = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
"""Packages that hold what a program says its version is; without it charts would take the server for a very old one."""


def custom_resources() -> list[Path]:
    """Files with the definitions of ServiceMonitor, PodMonitor, PrometheusRule, Certificate and the Gateway's routes.

    Raises:
        ToolMissing: there is no Go, or the modules cannot be had.
    """
    return [Path(_module(module)["Dir"], file) for module, files in DEFINITIONS.items() for file in files]


def schemas() -> dict[tuple[str, str], dict[str, Any]]:
    """The JSON schemas of the custom resources, by API version and kind, with unknown fields refused."""
    found = {}
    for path in custom_resources():
        spec = yaml.safe_load(path.read_text())["spec"]
        for version in spec["versions"]:
            key = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
            found[key] = _closed(version["schema"]["openAPIV3Schema"])
            found[key]["properties"]["metadata"] = {"type": "object"}
    return found


def kube_programs() -> dict[str, Path] | None:
    """kube-apiserver and kubectl, by name, if they were built before."""
    found = {name: _directory() / name for name in PROGRAMS}
    return found if all(path.exists() for path in found.values()) else None


def build_kube_programs() -> dict[str, Path]:
    """kube-apiserver and kubectl, by name; built if need be.

    Kubernetes is a module that names parts of itself by their directories, so Go builds its programs only as those of a
    module that names them by their versions.

    Raises:
        ToolMissing: there is no Go, or it cannot build them.
    """
    if found := kube_programs():
        return found
    directory = _directory()
    directory.mkdir(parents=True, exist_ok=True)
    own = Path(_module(f"k8s.io/kubernetes@v{RELEASE}")["GoMod"]).read_text()
    parts = re.findall(r"^\t(k8s\.io/\S+) => \./staging", own, re.MULTILINE)
    version = f"v0.{RELEASE.partition('.')[2]}"
    replaced = "".join(f"replace {part} => {part} {version}\n" for part in parts)
    kept = "\n".join(re.findall(r"^(?:go|godebug) .*$", own, re.MULTILINE))
    (directory / "go.mod").write_text(f"module tests\n\n{kept}\n\nrequire k8s.io/kubernetes v{RELEASE}\n\n{replaced}")
    wanted = [f"k8s.io/kubernetes/cmd/{name}" for name in PROGRAMS]
    imports = "".join(f'import _ "{one}"\n' for one in wanted)
    (directory / "programs.go").write_text(f"//go:build tools\n\npackage tests\n\n{imports}")
    major, minor, _ = RELEASE.split(".")
    said = {"gitVersion": f"v{RELEASE}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    flags = " ".join(f"-X {package}.{name}={value}" for package in _VERSION_OF for name, value in said.items())
    print(f"building {', '.join(PROGRAMS)} {RELEASE}; it takes minutes …", file=sys.stderr)
    _go("build", "-mod=mod", "-ldflags", f"-s -w {flags}", "-o", f"{directory}/", *wanted, at=directory)
    return {name: directory / name for name in PROGRAMS}


def _directory() -> Path:
    return cache() / f"kubernetes-{RELEASE}"


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with no other fields than those that it names, as Kubernetes' strict validation has it."""
    closed = dict(schema)
    if "properties" in schema:
        closed["properties"] = {name: _closed(one) for name, one in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            closed["additionalProperties"] = False
    if isinstance(schema.get("items"), dict):
        closed["items"] = _closed(schema["items"])
    return closed


def _module(module: str) -> dict[str, str]:
    """Where Go keeps a module, after fetching it if need be."""
    described: dict[str, str] = json.loads(_go("mod", "download", "-json", module))
    return described


def _go(*arguments: str, at: Path | None = None) -> str:
    go = shutil.which("go")
    if go is None:
        raise ToolMissing("Go is missing; install it: apt-get install golang-go")
    done = subprocess.run([go, *arguments], cwd=at, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ToolMissing(f"go {arguments[0]} failed: {(done.stderr or done.stdout).strip()[-1000:]}")
    return done.stdout


if __name__ == "__main__":
    try:
        print(*build_kube_programs().values(), sep="\n")
    except ToolMissing as missing:
        sys.exit(str(missing))
