"""Pictures of what a load test measured, one a part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from matplotlib.axes import Axes

    from load.report import Run

_LINES: Final = {"p50": "-", "p99": "--", "p999": ":"}
_TIMES: Final = (
    "Time to the answer, from when the question was due\n(solid: half of the answers, dashed: 99 %, dotted: 99.9 %)"
)
_COLOURS: Final = {"core": "tab:blue", "grpcio": "tab:orange", "nginx": "tab:grey", "grpcio-empty": "tab:green"}


def draw(part: str, runs: list[Run], path: Path) -> None:
    """Draws a part's picture."""
    import matplotlib as mpl  # noqa: PLC0415 - slow, and only needed here

    mpl.use("agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415 - after its backend is chosen

    figure, axes = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
    _DRAWN[part](runs, *axes)
    for one in axes:
        one.grid(visible=True, which="both", alpha=0.3)
    figure.savefig(path, dpi=80)
    plt.close(figure)


def _scenarios(runs: list[Run], left: Axes, right: Axes) -> None:
    names = list(dict.fromkeys(run.scenario for run in runs))
    for offset, server in enumerate(_servers(runs)):
        closed = {run.scenario: run for run in runs if run.server == server and run.mode == "closed"}
        places = [number + 0.4 * offset - 0.2 for number in range(len(names))]
        left.barh(places, [closed[name].result.rate for name in names], 0.35, label=server, color=_COLOURS[server])
        for mode, marker in (("constant", "o"), ("open", "s")):
            timed = {run.scenario: run.result.p99 for run in runs if run.server == server and run.mode == mode}
            label = f"{server}, {'from when sent (ghz)' if mode == 'constant' else 'from when due'}"
            right.plot([timed[name] for name in names], names, marker, label=label, color=_COLOURS[server])
    left.set(title="ghz, as fast as answers come", xlabel="answers a second", yticks=range(len(names)))
    left.set_yticklabels(names)
    left.invert_yaxis()
    right.set(title="At half of that rate: 99 % of the answers within", xlabel="ms", xscale="log")
    right.invert_yaxis()
    left.legend()
    right.legend()


def _latency(runs: list[Run], left: Axes, right: Axes) -> None:
    for server in _servers(runs):
        timed = sorted((run for run in runs if run.server == server), key=lambda run: run.offered)
        offered = [run.offered for run in timed]
        _draw_times(left, timed, offered, server)
        busy = [run.result.rate * run.cpu / 1e4 for run in timed]
        right.plot(offered, busy, "o-", label=server, color=_COLOURS[server])
    left.set(title=_TIMES, ylabel="ms", xscale="log", yscale="log")
    right.set(title="How busy the server's core is", ylabel="%", xscale="log", ylim=(0, 105))
    for axes in (left, right):
        axes.set_xlabel("questions offered a second")
        axes.legend()


def _sizes(runs: list[Run], left: Axes, right: Axes) -> None:
    for server in _servers([run for run in runs if run.permissions]):
        for mode, line in (("full", "-"), ("closed", ":")):
            sized = _by_size(runs, server, mode)
            label = f"{server}, {'64 calls in flight' if mode == 'full' else 'by ghz'}"
            rates = [run.result.rate for run in sized]
            left.plot([run.permissions for run in sized], rates, f"o{line}", label=label, color=_COLOURS[server])
        timed = _by_size(runs, server, "open")
        label = f"{server} at {timed[0].offered:,}/s"
        _draw_times(right, timed, [run.permissions for run in timed], label, _COLOURS[server])
    left.set(title="As fast as answers come", ylabel="answers a second", xscale="log", yscale="log")
    left.set_ylim(1e3, 1e5)
    right.set(title=_TIMES, ylabel="ms", xscale="log", yscale="log")
    for axes in (left, right):
        axes.set_xlabel("permissions")
        axes.legend()


def _draw_times(axes: Axes, runs: list[Run], places: list[int], label: str, colour: str = "") -> None:
    for name, line in _LINES.items():
        times = [getattr(run.result, name) for run in runs]
        named = label if name == "p50" else None
        axes.plot(places, times, f"o{line}", label=named, color=colour or _COLOURS[label], markersize=4)


def _by_size(runs: list[Run], server: str, mode: str) -> list[Run]:
    found = [run for run in runs if (run.server, run.mode) == (server, mode)]
    return sorted(found, key=lambda run: run.permissions)


_DRAWN: Final[dict[str, Callable[[list[Run], Axes, Axes], None]]] = {
    "scenarios": _scenarios,
    "latency": _latency,
    "sizes": _sizes,
}


def _servers(runs: list[Run]) -> list[str]:
    return list(dict.fromkeys(run.server for run in runs))
