"""An upgrade from the first chart: some fields Kubernetes lets nobody change, and pods stay those of their owner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from charts import CHART, ROOT, Manifest, parsed, rendered

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES_THEN: Final = sorted((ROOT / "tests" / "cases" / "chart").glob("first-*.yaml"))
"""What the first chart made of the examples of these names, as release `trial` in the namespace `tel`."""
WORKLOADS: Final = {"Deployment", "DaemonSet", "StatefulSet"}
IMMUTABLE: Final = {
    **dict.fromkeys(WORKLOADS, ("selector", "serviceName", "volumeClaimTemplates", "podManagementPolicy")),
    "Service": ("selector", "clusterIP"),
    "PodDisruptionBudget": ("selector",),
    "NetworkPolicy": ("podSelector",),
    "HorizontalPodAutoscaler": ("scaleTargetRef",),
}
"""Fields by kind that Kubernetes lets nobody change, or that say which pods are meant."""


def _by_name(manifests: list[Manifest]) -> dict[tuple[str, str], Manifest]:
    return {(one["kind"], one["metadata"]["name"]): one for one in manifests}


def _fixed(manifest: Manifest) -> dict[str, Any]:
    return {field: manifest.get("spec", {}).get(field) for field in IMMUTABLE.get(manifest["kind"], ())}


@pytest.mark.parametrize("then", EXAMPLES_THEN, ids=lambda path: path.stem)
def test_an_upgrade_from_the_first_chart_changes_nothing_that_is_fixed(then: Path) -> None:
    """Nothing that the first chart made changes its name, its selector or another field that Kubernetes keeps."""
    old = _by_name(parsed(then.read_text()))
    now = rendered(CHART / "examples" / f"{then.stem.removeprefix('first-')}.yaml")
    new = _by_name(now)
    assert old.keys() <= new.keys()
    assert {name: _fixed(one) for name, one in old.items()} == {name: _fixed(new[name]) for name in old}


@pytest.mark.parametrize("then", EXAMPLES_THEN, ids=lambda path: path.stem)
def test_what_selected_the_old_pods_selects_the_new_ones(then: Path) -> None:
    """While a rollout lasts, old and new pods are behind the same Services."""
    old, new = (
        _by_name(manifests)
        for manifests in (
            parsed(then.read_text()),
            rendered(CHART / "examples" / f"{then.stem.removeprefix('first-')}.yaml"),
        )
    )
    workloads = [name for name in old if name[0] in WORKLOADS]
    assert workloads
    for name in workloads:
        labels = new[name]["spec"]["template"]["metadata"]["labels"]
        assert old[name]["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_the_first_chart_is_compared_in_full() -> None:
    """The comparison is about something: each of the two examples has workloads and Services."""
    assert [path.stem for path in EXAMPLES_THEN] == ["first-production", "first-trial"]
    for path in EXAMPLES_THEN:
        kinds = {one["kind"] for one in parsed(path.read_text())}
        assert {"Deployment", "Service", "PodDisruptionBudget"} <= kinds
