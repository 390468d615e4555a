"""The Helm chart, rendered by the real helm: what Kubernetes would be given."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Final

import yaml
from tools import tool

ROOT: Final = Path(__file__).parents[2]
CHART: Final = ROOT / "helm" / "rightcall"
EXAMPLES: Final = sorted((CHART / "examples").glob("*.yaml"))
MANIFESTS: Final = sorted((CHART / "examples" / "manifests").glob("*.yaml"))
"""Examples that are no values, but what is given to Kubernetes as it is."""
EVERYTHING: Final = ROOT / "tests" / "cases" / "chart-everything.yaml"
"""Values that switch on all that goes together."""
KUBERNETES: Final = ("1.27.0", "1.31.0", "1.37.0")
"""The oldest release that the chart is for, one between, and the newest whose schemas there are."""

Manifest = dict[str, Any]

_LOADER: Final = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
"""Dashboards are long; in C they are read ten times as fast."""


def helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs helm to its end."""
    command = [str(tool("helm")), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def template(*arguments: str | Path, kubernetes: str = KUBERNETES[1]) -> subprocess.CompletedProcess[str]:
    """``helm template`` of the chart. Kubernetes' version is given because a helm built by Go takes itself for old."""
    return helm("template", "trial", CHART, "--namespace", "tel", "--kube-version", kubernetes, *arguments)


def rendered(values: Path, *arguments: str, kubernetes: str = KUBERNETES[1]) -> list[Manifest]:
    """The manifests for a values file."""
    done = template("-f", values, *arguments, kubernetes=kubernetes)
    assert done.returncode == 0, done.stderr
    return parsed(done.stdout)


def parsed(text: str) -> list[Manifest]:
    """The manifests in a text."""
    return [one for one in yaml.load_all(text, Loader=_LOADER) if one is not None]


def refusal(*arguments: str | Path) -> str:
    """What helm says when it refuses values."""
    done = template(*arguments)
    assert done.returncode != 0, "helm took what it should have refused"
    return done.stderr


def the(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    """The one manifest of a kind and a name."""
    (found,) = [one for one in manifests if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    return found


def pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    """The specs of all pods, by the name of what makes them."""
    made: dict[str, Manifest] = {}
    for manifest in manifests:
        if manifest["kind"] == "Pod":
            made[manifest["metadata"]["name"]] = manifest["spec"]
        elif manifest["kind"] in {"Deployment", "DaemonSet", "Job", "StatefulSet"}:
            made[manifest["metadata"]["name"]] = manifest["spec"]["template"]["spec"]
    return made
