"""Load tests of a real server with ghz: ``python tests/load/run.py``. Results go to .bench/load.

Each size of rules gets a server of its own, the program itself, which reads its definitions from a file. Everything is
on this machine: ghz and the server share its cores, so figures are for comparing, not for buying hardware. The exit
code is 1 when a ratio is not what it has to be.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.workload import make_workload
from programs import Program
from waiting import until

from load.drive import ghz, open_loop
from load.report import Run, thresholds, write
from load.scenarios import SCENARIOS, realistic, write_definitions, write_questions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.workload import Call, Workload

ROOT: Final = Path(__file__).parents[2]
CHANGING: Final = "while rules change"
_SHARE: Final = 0.5
"""Of what the server answers at most: how fast it is asked at a constant rate."""
_START_SECONDS: Final = 1800
_EDIT_SECONDS: Final = 1.0
_KEY: Final = "the load tests' own secret key"


class Driver:
    """Drives one server with one size of rules."""

    def __init__(self, target: str, workload: Workload, directory: Path, seconds: float) -> None:
        self._target = target
        self._permissions = len(workload.tenant.call_permissions)
        self._questions = directory / "questions.bin"
        self._seconds = seconds

    def runs(self, scenario: str, calls: list[Call]) -> Iterator[Run]:
        """The scenario in each of the three ways."""
        write_questions(calls, self._questions)
        ghz(self._target, self._questions, seconds=min(1.0, self._seconds))  # caches and connections are warm after it
        closed = ghz(self._target, self._questions, seconds=self._seconds)
        rate = max(int(closed.rate * _SHARE), 1)
        yield Run(scenario, self._permissions, "closed", closed)
        constant = ghz(self._target, self._questions, seconds=self._seconds, rate=rate)
        yield Run(scenario, self._permissions, "constant", constant)
        # The open loop is Python: it is itself the limit above some hundred requests a second.
        gentle = min(rate, 500)
        opened = open_loop(self._target, calls, seconds=self._seconds, rate=gentle)
        yield Run(scenario, self._permissions, "open", opened)


def drive(permissions: int, seconds: float, say: Callable[[str], None]) -> Iterator[Run]:
    """All scenarios against rules of one size."""
    workload = make_workload(permissions)
    with tempfile.TemporaryDirectory(prefix="rightcall-load-") as name:
        directory = Path(name)
        definitions = directory / "definitions" / "bench.json"
        definitions.parent.mkdir()
        write_definitions(workload.tenant, definitions)
        say(f"{permissions:,} permissions: the server compiles them …")
        listen = ("--listen", "127.0.0.1:0", "--http", "")
        with Program(
            "serve", "--definitions", str(definitions.parent), *listen, "--recheck", "1", RIGHTCALL_SECRET_KEY=_KEY
        ) as server:
            until(lambda: _started(server), "the server serves", deadline=_START_SECONDS)
            target = server.wait_for("server_started")["grpc"]
            driver = Driver(target, workload, directory, seconds)
            for scenario, calls in SCENARIOS.items():
                say(f"{permissions:,} permissions: {scenario} …")
                yield from driver.runs(scenario, calls(workload))
            say(f"{permissions:,} permissions: {CHANGING} …")
            with _edited(workload, definitions):
                yield from driver.runs(CHANGING, realistic(workload))


def _started(server: Program) -> bool:
    return any(line["event"] == "server_started" for line in server.events)


@contextmanager
def _edited(workload: Workload, definitions: Path) -> Iterator[None]:
    """Somebody edits a permission every second."""
    stop = threading.Event()

    def edit() -> None:
        edition = 0
        while not stop.wait(_EDIT_SECONDS):
            edition += 1
            write_definitions(workload.tenant, definitions, edition=edition)

    editor = threading.Thread(target=edit)
    editor.start()
    try:
        yield
    finally:
        stop.set()
        editor.join()


def main() -> int:
    """Drives, reports, and tells whether the ratios hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one small size and short runs")
    parser.add_argument("--sizes", type=int, nargs="+", metavar="PERMISSIONS", help="default: 1000 10000 100000")
    parser.add_argument("--seconds", type=float, help="how long each run is; default: 10")
    parser.add_argument("--output", type=Path, default=ROOT / ".bench" / "load", metavar="DIR")
    chosen = parser.parse_args()
    sizes = chosen.sizes or ([1000] if chosen.quick else [1000, 10_000, 100_000])
    seconds = chosen.seconds or (2.0 if chosen.quick else 10.0)
    runs = [run for size in sizes for run in drive(size, seconds, lambda line: print(line, file=sys.stderr))]
    checks = thresholds(runs)
    print(write(chosen.output, runs, checks))
    return 0 if all(check.met for check in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
