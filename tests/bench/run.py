"""The benchmark: a table, JSON and a plot of what decisions, compilations and snapshots cost, by size of the rule set.

    .venv/bin/python tests/bench/run.py [--quick] [--output DIR]

Every size is measured in a process of its own, all in one run: ratios between sizes are worth more than the figures. It
exits with 1 where a target of this project is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
SIZES = (10, 1_000, 100_000, 1_000_000)
QUICK_SIZES = (10, 1_000, 10_000)
MEMORY_A_PERMISSION = 14_000
"""Bytes that generating and compiling a permission may take, generously."""

Result = dict[str, float]


class Target(NamedTuple):
    """Something to reach; ``value`` is None where this run has not measured it."""

    name: str
    value: float | None
    limit: float
    unit: str

    def line(self) -> str:
        """One line of the report."""
        if self.value is None:
            return f"  --      {self.name}: not measured in this run (at most {self.limit:g} {self.unit})"
        verdict = "met   " if self.met() else "MISSED"
        return f"  {verdict}  {self.name}: {self.value:.3g} {self.unit} (at most {self.limit:g} {self.unit})"

    def met(self) -> bool:
        """Whether it was reached, or not measured."""
        return self.value is None or self.value <= self.limit


def main() -> int:
    """Measures, prints, writes; returns the exit code."""
    parser = argparse.ArgumentParser(description="Measure decisions, compilation and snapshots.")
    parser.add_argument("--quick", action="store_true", help=f"only {', '.join(map(_count, QUICK_SIZES))} permissions")
    parser.add_argument("--output", type=Path, default=ROOT / ".bench", metavar="DIR", help="default: .bench")
    arguments = parser.parse_args()
    results = [result for size in (QUICK_SIZES if arguments.quick else SIZES) if (result := _measure(size))]
    goals = targets({int(result["permissions"]): result for result in results})
    print("\n".join(["", *table(results), "", "Targets:", *(goal.line() for goal in goals)]))
    arguments.output.mkdir(parents=True, exist_ok=True)
    _write_json(arguments.output / "bench.json", results, goals)
    _plot(arguments.output / "bench.png", results)
    print(f"\nWritten: {arguments.output / 'bench.json'}, {arguments.output / 'bench.png'}")
    return 0 if all(goal.met() for goal in goals) else 1


def targets(results: dict[int, Result]) -> list[Target]:
    """What this project wants to reach, with what was measured."""

    def of(size: int, name: str, scale: float) -> float | None:
        return results[size][name] * scale if name in results.get(size, {}) else None

    edit = [of(100_000, name, 1.0) for name in ("edit_digest_s", "edit_compile_s")]
    small, large = of(1_000, "decide_s", 1e6), of(1_000_000, "decide_s", 1e6)
    slowest = max(result["decide_s"] for result in results.values()) * 1e6
    return [
        Target("decide(), median, at every size", slowest, 2.0, "µs"),
        Target("decide() at 1M / at 1k", large / small if large and small else None, 1.5, "times"),
        Target("compile 100k permissions", of(100_000, "compile_s", 1.0), 15.0, "s"),
        Target("load 100k permissions", of(100_000, "load_s", 1e3), 100.0, "ms"),
        Target("one edit of 100k, digest and compile", sum(e for e in edit if e) or None, 1.4, "s"),
        Target("one edit of 100k, published to Redis", of(100_000, "edit_published_s", 1.0), 2.0, "s"),
        Target("one edit of 100k, decided by on a server", of(100_000, "edit_decided_s", 1.0), 2.0, "s"),
    ]


def table(results: list[Result]) -> list[str]:
    """The figures, a line a size."""
    columns: dict[str, Callable[[Result], str]] = {
        "permissions": lambda r: _count(int(r["permissions"])),
        "decide µs": lambda r: f"{r['decide_s'] * 1e6:.2f}",
        "p10 µs": lambda r: f"{r['decide_p10_s'] * 1e6:.2f}",
        "p99 µs": lambda r: f"{r['decide_p99_s'] * 1e6:.2f}",
        "compile s": lambda r: f"{r['compile_s']:.3g}",
        "digest s": lambda r: f"{r['digest_s']:.3g}",
        "one edit s": lambda r: f"{r['edit_digest_s'] + r['edit_compile_s']:.3g}",
        "decided s": lambda r: f"{r['edit_decided_s']:.3g}" if "edit_decided_s" in r else "",
        "blob MB": lambda r: f"{r['blob_bytes'] / 1e6:.3g}",
        "load ms": lambda r: f"{r['load_s'] * 1e3:.3g}",
        "server MB": lambda r: f"{r['server_rss'] / 1e6:.3g}",
        "compiler MB": lambda r: f"{r['compiler_rss'] / 1e6:.4g}",
    }
    rows = [list(columns), *([show(result) for show in columns.values()] for result in results)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(columns))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return [lines[0], "-" * len(lines[0]), *lines[1:]]


def _measure(size: int) -> Result | None:
    needed, free = size * MEMORY_A_PERMISSION, _free_memory()
    if needed > free:
        print(
            f"{_count(size)}: skipped, it may take {needed / 1e9:.0f} GB and {free / 1e9:.0f} GB are free", flush=True
        )
        return None
    print(f"{_count(size)} permissions …", flush=True)
    program = [sys.executable, str(Path(__file__).with_name("measure.py")), str(size)]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    done = subprocess.run(program, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    result: Result = json.loads(done.stdout)
    return result


def _free_memory() -> int:
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def _count(number: int) -> str:
    return f"{number:,}"


def _write_json(path: Path, results: list[Result], goals: list[Target]) -> None:
    document = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "results": results,
        "targets": [goal._asdict() | {"met": goal.met()} for goal in goals],
    }
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _plot(path: Path, results: list[Result]) -> None:
    import matplotlib as mpl  # noqa: PLC0415 - takes a second, and needs its backend chosen first

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - see above

    sizes = [result["permissions"] for result in results]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    left.plot(sizes, [result["decide_s"] * 1e6 for result in results], "o-", label="median")
    left.plot(sizes, [result["decide_p99_s"] * 1e6 for result in results], "o--", label="99th percentile")
    left.axhline(2.0, color="grey", linestyle=":", label="target for the median")
    left.set(title="One decision", xlabel="permissions", ylabel="µs", xscale="log", yscale="log", ylim=(0.5, 20))
    for name, label in (("compile_s", "compile"), ("load_s", "load")):
        right.plot(sizes, [result[name] for result in results], "o-", label=label)
    edit = [result["edit_digest_s"] + result["edit_compile_s"] for result in results]
    right.plot(sizes, edit, "o-", label="compile again after one edit")
    right.set(title="A snapshot", xlabel="permissions", ylabel="s", xscale="log", yscale="log")
    for axes in (left, right):
        axes.grid(visible=True, which="both", alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    sys.exit(main())
