"""Load tests of a real server, with ghz and with a client of our own that keeps to a schedule.

    .venv/bin/python tests/load/run.py [--quick] [--parts scenarios latency sizes]

Results go to .bench/load: a JSON document a part, and a page and pictures of all parts that are there. A part is
measured in one go, and parts may be measured one after the other. The server has one core and whoever asks another one,
so figures are for comparing, not for buying hardware. The exit code is 1 when a ratio is not what it has to be.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from bench.facts import CLIENT_CORE, pin

from load.parts import PARTS, TRANSPORTS, Plan, middle
from load.report import checks_of, save, write

ROOT: Final = Path(__file__).parents[2]
_PERMISSIONS: Final = 100_000
_SIZES: Final = (1_000, 10_000, 100_000, 1_000_000)
_QUICK_SIZES: Final = (1_000, 10_000)


def main() -> int:
    """Measures, reports, and tells whether the ratios hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small rules and short runs, to see that it works")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--permissions", type=int, help=f"of scenarios and latencies; default: {_PERMISSIONS:,}")
    parser.add_argument("--sizes", type=int, nargs="+", metavar="PERMISSIONS", help="that are compared")
    parser.add_argument("--transports", nargs="+", choices=TRANSPORTS, default=list(TRANSPORTS), metavar="TRANSPORT")
    parser.add_argument("--seconds", type=float, help="how long each run is; default: 4")
    parser.add_argument("--rounds", type=int, help="of the runs whose ratios have to hold; default: 3")
    parser.add_argument("--output", type=Path, default=ROOT / ".bench" / "load", metavar="DIR")
    chosen = parser.parse_args()
    plan = Plan(
        permissions=chosen.permissions or (_QUICK_SIZES[0] if chosen.quick else _PERMISSIONS),
        sizes=tuple(chosen.sizes or (_QUICK_SIZES if chosen.quick else _SIZES)),
        seconds=chosen.seconds or (1.0 if chosen.quick else 4.0),
        rounds=chosen.rounds or (1 if chosen.quick else 3),
        transports=tuple(chosen.transports),
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    pin(CLIENT_CORE)
    held = True
    for part in chosen.parts:
        runs = middle(list(PARTS[part](plan)))
        checks = checks_of(part, runs)
        save(chosen.output, part, runs, checks)
        held = held and all(check.met for check in checks)
    print(write(chosen.output))
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
