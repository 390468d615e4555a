"""The benchmark: tables, JSON and pictures of what this project costs, compared with what else there is.

    make bench                                   every part but the soak
    make bench ARGS="--only engines,server"      these parts
    make bench ARGS=--quick                      small sizes, to see whether it works
    make soak                                    ten minutes at 70 % load
    make bench-check                             fails where a ratio is worse than the committed baseline

Each part writes DIR/PART.json; DIR/bench.json has all of them, also those of earlier runs, with the figures that they
come to. It exits with 1 where a target of this project is missed, or, with --check, where a ratio has become worse.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import structlog

from bench.facts import machine
from bench.parts import Options
from bench.plots import draw
from bench.ratios import BASELINE, figures, load_baseline, regressions, updated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.ratios import Figure

ROOT: Final = Path(__file__).resolve().parents[2]
PARTS: Final = ("sizes", "server", "secured", "engines", "swaps", "capacity", "edits", "stops", "fanout")
ON_REQUEST: Final = ("soak",)
"""Those that only run when they are named."""
CHECKED_PARTS: Final = ("sizes", "server", "engines")
"""Those that the baseline is about."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints, writes; returns the exit code."""
    chosen = _parsed(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    options = Options(
        permissions=1_000 if chosen.quick else chosen.permissions,
        large=1_000 if chosen.quick else 100_000 if chosen.check else chosen.large,
        seconds=2 if chosen.quick else chosen.seconds,
        minutes=chosen.minutes,
        quick=chosen.quick,
    )
    chosen.output.mkdir(parents=True, exist_ok=True)
    measured = chosen.only or (CHECKED_PARTS if chosen.check else PARTS)
    for part in measured if not chosen.from_results else ():
        _measure(part, options, chosen.output)
    documents = _documents(chosen.output)
    parts = {name: document["results"] for name, document in documents.items()}
    found = figures(parts)
    print("\n".join(["", "Figures:", *(figure.line() for figure in found if figure.value is not None)]))
    _write(chosen.output / "bench.json", {"parts": documents, "figures": [figure._asdict() for figure in found]})
    drawn = draw(chosen.output, parts)
    print(f"\nWritten: {', '.join(map(str, [chosen.output / 'bench.json', *drawn]))}")
    if chosen.update_baseline:
        _write(BASELINE, updated(found, load_baseline() if BASELINE.exists() else {}))
        return 0
    now = figures({name: results for name, results in parts.items() if name in measured})
    return _check(now) if chosen.check else int(not all(figure.met for figure in now))


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = (*PARTS, *ON_REQUEST)
    parser.add_argument("--only", type=lambda text: text.split(","), metavar="PART,…", help=f"of {', '.join(known)}")
    parser.add_argument("--quick", action="store_true", help="1,000 permissions and short runs")
    parser.add_argument("--permissions", type=int, default=100_000, help="of a server's rules; default: 100,000")
    parser.add_argument("--large", type=int, default=1_000_000, help="the most of them; default: 1,000,000")
    parser.add_argument("--seconds", type=int, default=5, help="of one run under load; default: 5")
    parser.add_argument("--minutes", type=int, default=10, help="of the soak; default: 10")
    parser.add_argument("--output", type=Path, default=ROOT / ".bench", metavar="DIR", help="default: .bench")
    parser.add_argument("--check", action="store_true", help="compare with the committed baseline")
    parser.add_argument("--from-results", action="store_true", help="measure nothing: take what DIR has")
    parser.add_argument("--update-baseline", action="store_true", help="make this run's ratios the baseline")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.only or ()) - set(known):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return chosen


def _measure(part: str, options: Options, directory: Path) -> None:
    print(f"\n== {part}", flush=True)
    module: Any = importlib.import_module(f"bench.{part}")
    results = module.measure(options)
    print("\n".join(module.lines(results)), flush=True)
    _write(directory / f"{part}.json", {"machine": machine(), "results": results})


def _documents(directory: Path) -> dict[str, Any]:
    """What each part wrote last."""
    found = {part: directory / f"{part}.json" for part in (*PARTS, *ON_REQUEST)}
    return {part: json.loads(path.read_text(encoding="utf-8")) for part, path in found.items() if path.exists()}


def _check(found: list[Figure]) -> int:
    worse = regressions(found, load_baseline())
    print(
        "\n".join(f"REGRESSION  {regression.line()}" for regression in worse) or "\nNo ratio is worse than it may be."
    )
    return int(bool(worse))


def _write(path: Path, document: object) -> None:
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
