"""The fuzz targets, each with a few inputs and with every case that fuzzing found before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cores import CORE_IS_BUILT
from fuzz.mutations import NUMBERS
from fuzz.targets import make_targets
from hypothesis import HealthCheck, given, settings

FUZZ = Path(__file__).parents[1] / "fuzz"
if TYPE_CHECKING:
    from fuzz.target import Target

NAMES = (
    *(("core_requests", "core_snapshots") if CORE_IS_BUILT else ()),
    "grpc_requests",
    "snapshots",
    "sealed_snapshots",
    "deltas",
    "manifests",
    "pointers",
    "followed_numbers",
    "batches",
    "http",
    "definitions",
    "challenges",
    "agi",
    "authzen",
    "clients",
    "credentials",
    "certificates",
    "jwks",
)
CASES = sorted((FUZZ / "cases").glob("*/*"))


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Target]:
    """All of them."""
    return make_targets(tmp_path_factory.mktemp("fuzz"))


def test_every_target_is_tried(targets: dict[str, Target]) -> None:
    """One that is added and not listed here would be forgotten."""
    assert set(NAMES) == set(targets)


@pytest.mark.parametrize("name", NAMES)
def test_a_target_holds_for_a_few_inputs(targets: dict[str, Target], name: str) -> None:
    """``make fuzz`` tries many more."""
    target = targets[name]

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(NUMBERS.map(target.make))
    def holds(data: bytes) -> None:
        target.run(data)

    holds()


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_fuzzing_found_stays_repaired(targets: dict[str, Target], path: Path) -> None:
    """Each case is named for what it was."""
    targets[path.parent.name].run(path.read_bytes())
