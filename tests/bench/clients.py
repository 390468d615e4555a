"""Who asks a server: h2load, which needs the least of a core a call, and the load tests' client, which asks a mix.

h2load asks with one and the same body all the time, and cannot see a gRPC status, so its figures are of one question or
of one batch. ``paced`` has a file of different questions and counts what failed; where it is as fast as it can be, it
needs about as much of its core as the server of the other one.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from load.prepare import module_environment

from bench.facts import CLIENT_CORE, cpu_seconds
from rightcall.v1 import decision_pb2 as messages

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LOADED, ALONE, MANY = (8, 8), (1, 1), (1, 2)
"""Connections, and calls in flight on each."""
MANY_CALLS: Final = 1000
WARM_UP: Final = 1
_ATTEMPTS: Final = 5
"""h2load sometimes begins nothing where the machine is busy."""
_METHOD: Final = "/rightcall.v1.DecisionService"


class Missing(RuntimeError):
    """A program that measuring needs is not installed; the message says how to get it."""


class Failed(RuntimeError):
    """Calls failed that should not, so there are no figures."""


class Load(NamedTuple):
    """What a run came to; times in seconds.

    Attributes:
        rate: answers a second.
        answers: how many.
        cpu: processor time of the server an answer.
        failed: calls that were not answered, or with a status that is no answer.
    """

    rate: float
    answers: int
    p50: float
    p99: float
    p999: float
    longest: float
    cpu: float
    failed: int = 0


def require(*programs: str) -> None:
    """Tells which programs are missing.

    Raises:
        Missing: one is.
    """
    packages = {"h2load": "nghttp2-client", "nginx": "nginx-light", "taskset": "util-linux"}
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        wanted = " ".join(packages.get(program, program) for program in missing)
        raise Missing(f"{', '.join(missing)} not found; on Debian: apt-get install {wanted}")


def one(request: bytes) -> bytes:
    """The body of a CheckCall."""
    return _framed(request)


def many(requests: Sequence[bytes]) -> bytes:
    """The body of a CheckCalls."""
    calls = map(messages.CheckCallRequest.FromString, requests)
    return _framed(messages.CheckCallsRequest(calls=calls).SerializeToString())


def h2load(
    port: int,
    method: str,
    body: bytes,
    *,
    shape: tuple[int, int],
    seconds: int,
    processes: Sequence[int] = (),
    core: int | None = CLIENT_CORE,
    token: str = "",
) -> Load:
    """Asks the same for some seconds, after one to warm up.

    Args:
        port: of the server, on this machine.
        method: of DecisionService.
        body: of every request.
        shape: connections, and calls in flight on each.
        seconds: for how long.
        processes: of the server, for its processor time.
        core: that the client has; None: any.
        token: that every request shows, over TLS; empty: neither.

    Raises:
        Failed: there was no answer, or something else than one.
    """
    command = [] if core is None else ["taskset", "-c", str(core)]
    command += ["h2load", "-c", str(shape[0]), "-m", str(shape[1]), "-D", str(seconds), f"--warm-up-time={WARM_UP}"]
    credentials = [f"authorization: Bearer {token}"] if token else []
    for header in ("content-type: application/grpc", "te: trailers", *credentials):
        command += ["-H", header]
    url = f"{'https' if token else 'http'}://127.0.0.1:{port}{_METHOD}/{method}"
    with tempfile.TemporaryDirectory(prefix="rightcall-h2load-") as directory:
        log, file = Path(directory, "log"), Path(directory, "body")
        file.write_bytes(body)
        command += ["-d", str(file), f"--log-file={log}", url]
        for _ in range(_ATTEMPTS):
            before = cpu_seconds(*processes)
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            cpu = cpu_seconds(*processes) - before
            found = re.search(r"requests: .* (\d+) succeeded, (\d+) failed", done.stdout)
            if found is None or int(found[2]):
                raise Failed(f"h2load had failures: {done.stdout}")
            if count := int(found[1]):
                break
            time.sleep(1.0)
        else:
            raise Failed(f"h2load had no answer: {done.stdout}")
        times = read_times(log)
    p50, p99, p999, longest = (quantile(times, share) for share in (0.5, 0.99, 0.999, 1))
    # The second to warm up is in the processor time, and not in the count.
    cpu *= seconds / (seconds + WARM_UP)
    return Load(count / seconds, count, p50, p99, p999, longest, cpu / count)


def read_times(log: Path) -> Counter[int]:
    """How long answers took by a log of h2load, in whole microseconds, and how often."""
    with log.open("rb") as lines:
        return Counter(int(line.rpartition(b"\t")[2]) for line in lines)


def quantile(times: Counter[int], share: float) -> float:
    """Seconds within which this share of the answers came."""
    wanted = share * times.total()
    seen = 0
    for microseconds in sorted(times):
        seen += times[microseconds]
        if seen >= wanted:
            return microseconds / 1e6
    raise ValueError("there are no times")


def paced(
    port: int,
    questions: Path,
    *,
    seconds: float,
    rate: float = 0,
    processes: Sequence[int] = (),
    options: Sequence[str] = (),
) -> Load:
    """Asks a mix for some seconds, after one to warm up, from a core of its own.

    Args:
        port: of the server, on this machine.
        questions: a file of requests.
        seconds: for how long.
        rate: questions a second, each answer measured from when it was due; 0: eight in flight on each of eight
            connections.
        processes: of the server, for its processor time.
        options: more of ``load.paced``.

    Raises:
        Failed: a call was not answered.
    """
    before = cpu_seconds(*processes)
    with asking(port, questions, seconds=seconds, rate=rate, options=options) as running:
        found = figures(running)
    cpu = cpu_seconds(*processes) - before
    return found._replace(cpu=cpu * seconds / (seconds + WARM_UP) / found.answers)


def asking(
    port: int, questions: Path, *, seconds: float, rate: float = 0, options: Sequence[str] = ()
) -> subprocess.Popen[str]:
    """Begins what ``paced`` does; ``figures`` has what it comes to."""
    command = ["taskset", "-c", str(CLIENT_CORE), sys.executable, "-m", "load.paced", f"127.0.0.1:{port}"]
    command += ["--questions", str(questions), f"--seconds={seconds}", f"--rate={rate}", f"--warm-up={WARM_UP}"]
    return subprocess.Popen([*command, *options], env=module_environment(), stdout=subprocess.PIPE, text=True)


def figures(running: subprocess.Popen[str], *, failures: bool = False) -> Load:
    """Waits for what ``asking`` began; the processor time is not in it.

    Args:
        running: what ``asking`` returned.
        failures: whether calls may fail; then they are counted.

    Raises:
        Failed: a call was not answered, or the server was not there.
    """
    output, _ = running.communicate()
    if running.returncode:
        raise Failed(f"the client ended with {running.returncode}; its last words are above")
    found = json.loads(output)
    failed = int(found["failed"])
    if not found["sent"] or (failed and not failures):
        raise Failed(f"{failed} of {found['sent']} calls were not answered")
    answers = int(found["sent"]) - failed
    return Load(
        found["rate"],
        answers,
        found["p50"],
        found["p99"],
        found["p999"],
        longest=found["slowest"],
        cpu=0.0,
        failed=failed,
    )


@contextmanager
def on_the_clients_core() -> Iterator[None]:
    """This process, and all that it starts, leave the server's core alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {CLIENT_CORE})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _framed(message: bytes) -> bytes:
    return b"\0" + struct.pack(">I", len(message)) + message
