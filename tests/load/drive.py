"""Drives a server: with ghz, and with the client of our own that keeps to a schedule and measures from it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tools import tool

from load.paced import CHECK_CALL
from load.prepare import module_environment

if TYPE_CHECKING:
    from collections.abc import Sequence

PROTOS: Final = Path(__file__).parents[2] / "protos"
CONCURRENCY: Final = 32
CONNECTIONS: Final = 8
_WARM_UP: Final = 1.0
_FLAW: Final = "send on closed channel"
"""The last words of a ghz that has met a race of its own, now and then at the end of a run."""
_ATTEMPTS: Final = 3


class Result(NamedTuple):
    """What a run came to; times in milliseconds.

    Attributes:
        sent: requests that count.
        failed: those of them that got no answer.
        rate: answers a second.
        p50: half of the answers came within it.
        p99: 99 % did.
        p999: 99.9 % did.
        slowest: all did.
        late: 99 % of the requests were sent within it after they were due; 0 where nobody kept to a schedule.
    """

    sent: int
    failed: int
    rate: float
    p50: float
    p99: float
    p999: float
    slowest: float
    late: float = 0.0


def ghz(target: str, questions: Path, *, seconds: float, rate: int = 0) -> Result:
    """Asks for some seconds, as fast as answers come, or ``rate`` times a second whether they come or not.

    Raises:
        RuntimeError: ghz failed.
    """
    command = [str(tool("ghz")), "--insecure", "--format=json", f"--connections={CONNECTIONS}"]
    command += [f"--proto={PROTOS / 'rightcall/v1/decision.proto'}", f"--import-paths={PROTOS}"]
    command += [f"--call={CHECK_CALL[1:]}"]
    command += [f"--binary-file={questions}", f"--duration={seconds}s", "--duration-stop=wait"]
    command += [f"--rps={rate}", "--async"] if rate else []
    command += [f"--concurrency={CONCURRENCY}", target]
    report = json.loads(_output(command, seconds))
    times = sorted(one["latency"] / 1e6 for one in report["details"] if one["status"] == "OK")

    def quantile(share: float) -> float:
        return times[min(int(len(times) * share), len(times) - 1)] if times else 0.0

    shares = [quantile(share) for share in (0.5, 0.99, 0.999, 1)]
    return Result(report["count"], report["count"] - len(times), report["rps"], *shares)


def paced(target: str, questions: Path, *, seconds: float, rate: int = 0, options: Sequence[str] = ()) -> Result:
    """Asks ``rate`` times a second, and measures from when a question was due; 0: eight at a time on each connection.

    Args:
        target: host and port.
        questions: the file of requests.
        seconds: that count; those to warm up come before them.
        rate: questions a second.
        options: more of ``load.paced``.

    Raises:
        RuntimeError: the client failed.
    """
    command = [sys.executable, "-m", "load.paced", target, f"--questions={questions}", f"--connections={CONNECTIONS}"]
    command += [f"--seconds={seconds}", f"--rate={rate}", f"--warm-up={warm_up(seconds)}", *options]
    found: dict[str, Any] = json.loads(_output(command, seconds))
    p50, p99, p999, slowest, late = (found[name] * 1e3 for name in ("p50", "p99", "p999", "slowest", "late_p99"))
    return Result(found["sent"], found["failed"], found["rate"], p50, p99, p999, slowest, late)


def warm_up(seconds: float) -> float:
    """Seconds of ``paced`` that come before those that count."""
    return min(_WARM_UP, seconds)


def _output(command: list[str], seconds: float) -> str:
    environment = module_environment()
    for _ in range(_ATTEMPTS):
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=seconds + 60
        )
        if _FLAW not in done.stderr:
            break
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name} failed: {done.stderr.strip()[-500:]}")
    return done.stdout
