"""Pictures of what was measured, with logarithmic axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.rounds import medians

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from matplotlib.axes import Axes

    from bench.rounds import Figures

_TARGET_US = 2.0


def draw(directory: Path, parts: Mapping[str, Any]) -> list[Path]:
    """A picture of each part that was measured and that there is one of; returns the files."""
    import matplotlib as mpl  # noqa: PLC0415 - takes a second, and needs its backend chosen first

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - see above

    drawn: list[Path] = []
    painters: dict[str, tuple[Callable[[list[Axes], Any], None], int]]
    painters = {"sizes": (_sizes, 2), "engines": (_engines, 1), "server": (_server, 2)}
    for name, (paint, columns) in painters.items():
        if not parts.get(name):
            continue
        figure, axes = plt.subplots(1, columns, figsize=(5.5 * columns, 4), layout="constrained", squeeze=False)
        paint(list(axes[0]), parts[name])
        for each in axes[0]:
            each.grid(visible=True, which="major", alpha=0.4)
            each.grid(visible=True, which="minor", alpha=0.15)
        drawn.append(directory / f"bench-{name}.png")
        figure.savefig(drawn[-1], dpi=90)
        plt.close(figure)
    return drawn


def _sizes(axes: list[Axes], results: list[dict[str, float]]) -> None:
    left, right = axes
    sizes = [result["permissions"] for result in results]
    for name, label, style in (("decide_s", "median", "o-"), ("decide_p99_s", "99th percentile", "o--")):
        left.plot(sizes, [result[name] * 1e6 for result in results], style, label=label)
    left.axhline(_TARGET_US, color="grey", linestyle=":", label="target for the median")
    left.set(title="One decision", xlabel="permissions", ylabel="µs", xscale="log", yscale="log", ylim=(0.1, 50))
    for name, label in (("compile_s", "compile"), ("load_s", "load")):
        right.plot(sizes, [result[name] for result in results], "o-", label=label)
    edit = [result["edit_digest_s"] + result["edit_compile_s"] for result in results]
    right.plot(sizes, edit, "o-", label="digest and compile one edit")
    right.set(title="A snapshot", xlabel="permissions", ylabel="s", xscale="log", yscale="log")
    for each in axes:
        each.legend()


def _engines(axes: list[Axes], results: dict[str, dict[str, float]]) -> None:
    for name, found in results.items():
        sizes = sorted(map(int, found))
        style = "o-" if name == "rightcall" else "s--"
        axes[0].plot(sizes, [found[str(size)] * 1e6 for size in sizes], style, label=name)
    axes[0].set(title="One decision, by way of matching", xlabel="permissions", ylabel="µs", xscale="log", yscale="log")
    axes[0].legend()


def _server(axes: list[Axes], rounds: list[Figures]) -> None:
    rates, times = axes
    rows = [(f"{kind}: {what}", run) for kind, runs in medians(rounds).items() for what, run in runs.items()]
    names = [name for name, _ in rows]
    rates.barh(names, [run["rate"] for _, run in rows])
    rates.set(title="Answers (CheckCalls: of 1,000) a second, one core", xscale="log")
    for cut, label, marker in (("p50", "p50", "o"), ("p99", "p99", "s"), ("p999", "p99.9", "^")):
        times.plot([run[cut] * 1e6 for _, run in rows], names, marker, markersize=4, label=label)
    times.set(title="Time to the answer, µs", xscale="log", yticklabels=[])
    times.legend(loc="lower right", bbox_to_anchor=(1, 0.02), fontsize=7)
    for each in axes:
        each.invert_yaxis()
        each.tick_params(axis="y", labelsize=7)
