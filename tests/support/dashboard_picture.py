"""Draws the dashboards without Grafana: ``python tests/support/dashboard_picture.py [DIR]``.

The default directory is .bench/dashboards.
The queries are the dashboards' own, asked of a real Prometheus that watched a real server and its loader for a minute.
"""

from __future__ import annotations

import json
import math
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import matplotlib as mpl
from watched import DASHBOARDS, Query, Watched, watched_server

mpl.use("agg")
import matplotlib.pyplot as plt

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

_SECONDS: Final = 60
_COLUMNS: Final = 24
_SCALE: Final = 0.75
"""Inches of a unit of the grid."""
_UNITS: Final = {"s": "s", "bytes": "B", "reqps": "/s", "ops": "/s", "percentunit": "%"}


class Series(NamedTuple):
    """What a query came to: seconds since the beginning, and values."""

    name: str
    times: list[float]
    values: list[float]


def draw(path: Path, watched: Watched, start: float, end: float, directory: Path) -> Path:
    """Draws one dashboard; rows that are folded stay so."""
    board = json.loads(path.read_text())
    panels = board["panels"]
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels) + 1
    figure = plt.figure(figsize=(_COLUMNS * _SCALE, height * _SCALE * 0.6))
    figure.suptitle(board["title"], x=0.01, y=1 - 0.2 / height, ha="left", weight="bold")
    for panel in panels:
        at = panel["gridPos"]
        top = 1 - (at["y"] + 1) / height
        if panel["type"] == "row":
            folded = " (folded)" if panel["collapsed"] else ""
            figure.text(0.01, top - 0.7 / height, panel["title"] + folded, weight="bold", color="gray")
            continue
        box = (at["x"] / _COLUMNS + 0.03, top - (at["h"] - 0.6) / height, at["w"] / _COLUMNS - 0.05)
        axes = figure.add_axes((*box, (at["h"] - 2.2) / height))
        axes.set_title(panel["title"], fontsize=9, loc="left")
        targets = [_series(watched, path.stem, panel, one, start, end) for one in panel["targets"]]
        _PANELS[panel["type"]](axes, panel, [one for target in targets for one in target])
    drawn = directory / f"{path.stem}.png"
    figure.savefig(drawn, dpi=70)
    plt.close(figure)
    return drawn


def _series(
    watched: Watched, board: str, panel: dict[str, Any], target: dict[str, Any], start: float, end: float
) -> list[Series]:
    query = Query(board, panel["title"], target["expr"])
    return [
        Series(
            _legend(target["legendFormat"], one["metric"]),
            [float(at) - start for at, _ in one["values"]],
            [float(value) for _, value in one["values"]],
        )
        for one in watched.prometheus.query_range(query.filled(), start, end, 1)
    ]


def _legend(form: str, labels: dict[str, str]) -> str:
    if form == "__auto":
        return " ".join(labels.values())
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), form).strip()


def _stat(axes: Axes, panel: dict[str, Any], series: list[Series]) -> None:
    axes.axis("off")
    found = [value for one in series for value in one.values if not math.isnan(value)]
    defaults = panel["fieldConfig"]["defaults"]
    text, color = (_text(found[-1], defaults["unit"]), "black") if found else (defaults.get("noValue", "none"), "gray")
    for step in defaults.get("thresholds", {}).get("steps", ()) if found else ():
        if step["value"] is None or found[-1] >= step["value"]:
            color = step["color"]
    axes.text(0.5, 0.4, text, ha="center", va="center", fontsize=22, color=color)


def _text(value: float, unit: str) -> str:
    if unit == "percentunit":
        return f"{100 * value:.4g} %"
    return f"{value:.4g} {_UNITS.get(unit, '')}".strip()


def _lines(axes: Axes, panel: dict[str, Any], series: list[Series]) -> None:
    for one in series:
        axes.plot(one.times, one.values, label=one.name[:60], linewidth=1.2)
    axes.tick_params(labelsize=7)
    axes.set_ylabel(_UNITS.get(panel["fieldConfig"]["defaults"]["unit"], ""), fontsize=7)
    axes.set_ylim(bottom=0)
    if series:
        axes.legend(fontsize=6, loc="upper left", ncols=2)
    else:
        axes.text(0.5, 0.5, panel["fieldConfig"]["defaults"].get("noValue", "No data"), ha="center", color="gray")


def _bars(axes: Axes, panel: dict[str, Any], series: list[Series]) -> None:
    del panel
    last = sorted((one.values[-1], one.name) for one in series)[-10:]
    axes.barh([name for _, name in last], [value for value, _ in last])
    axes.tick_params(labelsize=7)


def _pie(axes: Axes, panel: dict[str, Any], series: list[Series]) -> None:
    del panel
    last = [(one.values[-1], one.name) for one in series if one.values[-1] > 0]
    axes.pie([value for value, _ in last], labels=[name for _, name in last], textprops={"fontsize": 6})


def _heatmap(axes: Axes, panel: dict[str, Any], series: list[Series]) -> None:
    """Each bucket less the one below it, over time."""
    del panel
    series = sorted(series, key=lambda one: float(one.name.replace("+Inf", "inf")))
    cells = [
        [own - lower for own, lower in zip(one.values, below.values if below else [0.0] * len(one.values), strict=True)]
        for below, one in zip([None, *series], series, strict=False)
    ]
    axes.imshow(cells, aspect="auto", origin="lower", cmap="Blues")
    axes.set_yticks(range(len(series)), [one.name for one in series])
    axes.tick_params(labelsize=6)


_PANELS: Final[dict[str, Callable[[Axes, dict[str, Any], list[Series]], None]]] = {
    "stat": _stat,
    "timeseries": _lines,
    "bargauge": _bars,
    "piechart": _pie,
    "heatmap": _heatmap,
}


def main() -> None:
    """Lets a server work for a minute, then draws."""
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[2] / ".bench" / "dashboards"
    directory.mkdir(parents=True, exist_ok=True)
    with watched_server() as watched:
        start = time.time()
        while time.time() < start + _SECONDS:
            watched.call_everything()
            time.sleep(0.02)
        end = time.time()
        for path in DASHBOARDS:
            print(draw(path, watched, start, end, directory))


if __name__ == "__main__":
    main()
