"""Results of load tests: as JSON, as a table for people, and as a picture; and what they have to fulfil."""

from __future__ import annotations

import json
import math
import os
import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    from load.drive import Result

_MODES: Final = {
    "closed": "as fast as answers come",
    "constant": "at a constant rate (ghz, from when a request was sent)",
    "open": "at the same rate (open loop, from when a request was due)",
}


class Run(NamedTuple):
    """A scenario, driven in one way, against rules of one size."""

    scenario: str
    permissions: int
    mode: str
    result: Result


class Threshold(NamedTuple):
    """A ratio of two figures of the same machine and the same hour, so that it holds on any machine."""

    what: str
    ratio: float
    least: float

    @property
    def met(self) -> bool:
        """Whether it holds."""
        return self.ratio >= self.least


def thresholds(runs: list[Run]) -> list[Threshold]:
    """What has to hold, of those runs that were made."""
    rates = {(run.scenario, run.permissions): run.result.rate for run in runs if run.mode == "closed"}
    sizes = sorted({permissions for _, permissions in rates})
    found = [Threshold("requests that got an answer", _answered(runs), 1.0)]
    for scenario, least in (("hostile", 0.7), ("realistic", 0.7), ("challenges", 0.4), ("while rules change", 0.4)):
        for size in sizes:
            if (scenario, size) in rates and ("one caller", size) in rates:
                ratio = rates[scenario, size] / rates["one caller", size]
                found.append(
                    Threshold(f"throughput of “{scenario}” to “one caller”, {size:,} permissions", ratio, least)
                )
    for size in sizes[1:]:
        if ("hostile", size) in rates and ("hostile", sizes[0]) in rates:
            ratio = rates["hostile", size] / rates["hostile", sizes[0]]
            found.append(Threshold(f"throughput of “hostile”, {size:,} to {sizes[0]:,} permissions", ratio, 0.6))
    return found


def write(directory: Path, runs: list[Run], checks: list[Threshold]) -> str:
    """Writes ``load.json``, ``load.md`` and ``load.png``.

    Returns:
        The text of ``load.md``.
    """
    directory.mkdir(parents=True, exist_ok=True)
    document = {
        "machine": machine(),
        "runs": [{**run._asdict(), "result": _finite(run.result._asdict())} for run in runs],
        "thresholds": [{**check._asdict(), "met": check.met} for check in checks],
    }
    (directory / "load.json").write_text(json.dumps(document, indent=1) + "\n")
    text = _markdown(runs, checks)
    (directory / "load.md").write_text(text)
    _draw(directory / "load.png", runs)
    return text


def machine() -> dict[str, str]:
    """Where it was measured."""
    return {
        "cores": str(os.cpu_count()),
        "processor": platform.machine(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "grpcio": version("grpcio"),
        "rightcall": version("rightcall"),
    }


def _markdown(runs: list[Run], checks: list[Threshold]) -> str:
    lines = ["| scenario | permissions | how | requests/s | half | 99 % | 99.9 % | slowest | failed |"]
    lines.append("|---|--:|---|--:|--:|--:|--:|--:|--:|")
    for run in runs:
        one = run.result
        times = " | ".join(f"{value:.2f} ms" for value in (one.p50, one.p99, one.p999, one.slowest))
        lines.append(
            f"| {run.scenario} | {run.permissions:,} | {run.mode} | {one.rate:,.0f} | {times} | {one.failed} |"
        )
    lines += ["", *(f"- *{mode}*: {text}" for mode, text in _MODES.items()), ""]
    lines += ["| ratio | measured | at least | |", "|---|--:|--:|---|"]
    lines += [
        f"| {one.what} | {one.ratio:.2f} | {one.least:.2f} | {'met' if one.met else '**missed**'} |" for one in checks
    ]
    lines += ["", ", ".join(f"{key} {value}" for key, value in machine().items())]
    return "\n".join(lines) + "\n"


def _draw(path: Path, runs: list[Run]) -> None:
    import matplotlib as mpl  # noqa: PLC0415 - slow, and only needed here

    mpl.use("agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415 - after its backend is chosen

    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 1.5 + 0.35 * len(runs)), layout="constrained")
    closed = [run for run in runs if run.mode == "closed"]
    left.barh([f"{run.scenario}, {run.permissions:,}" for run in closed], [run.result.rate for run in closed])
    left.set_title("requests a second, as fast as answers come")
    left.invert_yaxis()
    timed = [run for run in runs if run.mode != "closed"]
    names = [f"{run.scenario}, {run.permissions:,}, {run.mode}" for run in timed]
    for attribute, marker in (("p50", "o"), ("p99", "s"), ("p999", "^")):
        right.plot([getattr(run.result, attribute) for run in timed], names, marker, label=attribute)
    right.set_title("time to the answer at a constant rate, ms")
    right.set_xscale("log")
    right.invert_yaxis()
    right.legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _answered(runs: list[Run]) -> float:
    sent = sum(run.result.sent for run in runs)
    return 1 - sum(run.result.failed for run in runs) / sent if sent else 0.0


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in values.items()}
