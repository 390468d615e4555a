"""Draws the dashboards without Grafana: ``python tests/dashboard_picture.py [DIR]`` (default .bench/dashboards).

The queries are the dashboards' own, asked of a real Prometheus that watched a real server for a minute.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
from watched import DASHBOARDS, Query, Watched, watched_server

mpl.use("agg")
import matplotlib.pyplot as plt

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SECONDS: Final = 60
_COLUMNS: Final = 24
_SCALE: Final = 0.75
"""Inches of a unit of the grid."""


def draw(path: Path, watched: Watched, start: float, end: float, directory: Path) -> Path:
    """Draws one dashboard."""
    board = json.loads(path.read_text())
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    figure = plt.figure(figsize=(_COLUMNS * _SCALE, height * _SCALE * 0.6))
    figure.suptitle(board["title"], x=0.01, ha="left", weight="bold")
    for panel in panels:
        at = panel["gridPos"]
        box = (at["x"] / _COLUMNS + 0.03, 1 - (at["y"] + at["h"] - 0.6) / height, at["w"] / _COLUMNS - 0.05)
        axes = figure.add_axes((*box, (at["h"] - 2.2) / height))
        axes.set_title(panel["title"], fontsize=9, loc="left")
        _panel(axes, panel, [_series(watched, path.stem, panel, one, start, end) for one in panel["targets"]])
    drawn = directory / f"{path.stem}.png"
    figure.savefig(drawn, dpi=70)
    plt.close(figure)
    return drawn


def _series(
    watched: Watched, board: str, panel: dict[str, Any], target: dict[str, Any], start: float, end: float
) -> list[tuple[str, list[float], list[float]]]:
    """Name, times and values of each series of a query."""
    query = Query(board, panel["title"], target["expr"])
    found = watched.prometheus.query_range(query.filled(), start, end, 1)
    return [
        (
            " ".join(value for name, value in one["metric"].items() if name not in {"job", "namespace", "__name__"})
            or target["legendFormat"],
            [float(at) - start for at, _ in one["values"]],
            [float(value) for _, value in one["values"]],
        )
        for one in found
    ]


def _panel(axes: Axes, panel: dict[str, Any], series: list[list[tuple[str, list[float], list[float]]]]) -> None:
    every = [one for target in series for one in target]
    if panel["type"] == "stat":
        axes.axis("off")
        text = f"{every[0][2][-1]:.4g}" if every else panel["fieldConfig"]["defaults"].get("noValue", "none")
        axes.text(0.5, 0.4, text, ha="center", va="center", fontsize=22)
        return
    for name, times, values in every:
        axes.plot(times, values, label=name[:40], linewidth=1.2)
    axes.tick_params(labelsize=7)
    if every:
        axes.legend(fontsize=6, loc="upper left", ncols=2)


def main() -> None:
    """Lets a server work for a minute, then draws."""
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / ".bench" / "dashboards"
    directory.mkdir(parents=True, exist_ok=True)
    with watched_server() as watched:
        start = time.time()
        while time.time() < start + _SECONDS:
            watched.call_everything()
            time.sleep(0.02)
        for path in DASHBOARDS:
            print(draw(path, watched, start, time.time(), directory))


if __name__ == "__main__":
    main()
