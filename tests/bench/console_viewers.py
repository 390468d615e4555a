"""Whether viewers of the console slow answers down: ``python -m bench.console_viewers``.

``PYTHONPATH`` is ``.:tests:tests/support``. A server of the example company is asked 5,000 times a second, in turns
with and without twenty pages that follow *Now*; the ratio of the medians of both p99 is printed, and the processor time
of the server.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Final

from load import drive
from load.scenarios import write_questions
from programs import ROOT

from bench.workload import Call

VIEWERS: Final = 20
RATE: Final = 5_000
_ROUNDS: Final = 3
_SECONDS: Final = 4.0
_BOB: Final = "b0b00000-0000-4000-8000-000000000002"


def main() -> None:
    """Prints both p99, and the ratio."""
    command = [sys.executable, "-m", "rightcall", "serve", "--console", "--definitions=examples/company.yaml"]
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory, "log")
        questions = Path(directory, "questions")
        asked = ("0900123456", "0033123456789", "112", "102")
        write_questions([Call(_BOB, one, "1") for one in asked], questions)
        with log.open("w") as output:
            server = subprocess.Popen(
                [*command, "--listen=127.0.0.1:0", "--http=127.0.0.1:0"], cwd=ROOT, stdout=output, stderr=output
            )
        try:
            grpc, http = _addresses(log)
            found: dict[bool, list[float]] = {False: [], True: []}
            for _ in range(_ROUNDS):
                for watched in (False, True):
                    stop = threading.Event()
                    watchers = [threading.Thread(target=_watch, args=(http, stop)) for _ in range(VIEWERS * watched)]
                    for each in watchers:
                        each.start()
                    before = _processor(server.pid)
                    result = drive.paced(grpc, questions, seconds=_SECONDS, rate=RATE)
                    stop.set()
                    for each in watchers:
                        each.join()
                    found[watched].append(result.p99)
                    used = _processor(server.pid) - before
                    name = "with" if watched else "without"
                    print(f"{name} viewers: p99 {result.p99:.3f} ms, {used:.2f} s of processor", flush=True)
            ratio = statistics.median(found[True]) / statistics.median(found[False])
            print(f"p99 with {VIEWERS} viewers against none: {ratio:.2f}")
        finally:
            server.terminate()
            server.wait()


def _addresses(log: Path) -> tuple[str, str]:
    """The addresses of both ports, once the server has started."""
    while True:
        text = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text())
        if started := re.search(r"server_started.*", text):
            return tuple(re.search(rf"\b{name}=(\S+)", started[0])[1] for name in ("grpc", "http"))  # type: ignore[index,return-value] # both are there
        time.sleep(0.1)


def _processor(process: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _watch(http: str, stop: threading.Event) -> None:
    with closing(HTTPConnection(http, timeout=30)) as connection:
        connection.request("GET", "/console/now/stream")
        events = connection.getresponse()
        while not stop.is_set() and events.read1(1 << 16):
            pass


if __name__ == "__main__":
    main()
