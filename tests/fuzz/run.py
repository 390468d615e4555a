"""Fuzzes each target for a while: ``python tests/fuzz/run.py [--seconds 60 | --inputs N] [TARGET ...]``.

What makes a target fail is written to ``.fuzz/``; named for what it is and moved to ``tests/fuzz/cases/TARGET/``, it is
tried in every run of the tests from then on.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import math
import random
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

sys.path[:0] = [str(Path(__file__).parents[up] / below) for up, below in ((1, ""), (1, "support"), (2, ""))]

from fuzz.mutations import smallest  # noqa: E402 - found by the line above
from fuzz.targets import make_targets  # noqa: E402 - found by the line above

if TYPE_CHECKING:
    from fuzz.target import Target

_CRASHES = Path(".fuzz")
_ROUND = 500
"""Inputs between two looks at the clock."""


def fuzz(name: str, target: Target, seconds: float, most: int) -> bool:
    """Runs a target for so long, or on so many inputs; whether it held."""
    end = time.monotonic() + seconds
    number = random.getrandbits(64)
    tried = 0
    while time.monotonic() < end and tried < most:
        for _ in range(min(_ROUND, most - tried)):
            number += 1
            data = target.make(number)
            tried += 1
            try:
                target.run(data)
            except Exception as error:  # noqa: BLE001 - any is what was looked for
                kind = type(error)
                _tell(name, tried, smallest(data, lambda data: _fails(target, data, kind)), error)
                return False
    print(f"{name}: {tried:,} inputs, no failure", flush=True)
    return True


def _fails(target: Target, data: bytes, kind: type[Exception]) -> bool:
    try:
        target.run(data)
    except kind:
        return True
    except Exception:  # noqa: BLE001 - another failure; one at a time
        return False
    return False


def _tell(name: str, tried: int, data: bytes, error: Exception) -> None:
    _CRASHES.mkdir(exist_ok=True)
    path = _CRASHES / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    traceback.print_exception(error)
    print(f"{name}: FAILED after {tried:,} inputs; the input, made small, is in {path}")
    print(f"Once repaired, name it for what it is and move it to tests/fuzz/cases/{name}/", flush=True)


def main() -> None:
    """Fuzzes what the command line says."""
    parser = argparse.ArgumentParser(description="Fuzz what reads the bytes of others.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="names of targets; without any, all of them")
    parser.add_argument("--seconds", type=float, help="for each target (default: 60)")
    parser.add_argument("--inputs", type=int, help="for each target, however long they take")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory() as directory:
        targets = make_targets(Path(directory))
        unknown = set(arguments.targets) - set(targets)
        if unknown:
            parser.error(f"there is no target {', '.join(sorted(unknown))}; there are {', '.join(targets)}")
        chosen = arguments.targets or list(targets)
        seconds = arguments.seconds or (60.0 if arguments.inputs is None else math.inf)
        most = sys.maxsize if arguments.inputs is None else arguments.inputs
        held = [fuzz(name, targets[name], seconds, most) for name in chosen]
    sys.exit(0 if all(held) else 1)


if __name__ == "__main__":
    main()
