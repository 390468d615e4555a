"""The server under load, compared in one run with what HTTP/2 itself costs: nginx with an empty reply.

    PYTHONPATH=.:tests .venv/bin/python tests/bench/server.py [--permissions N] [--seconds S] [--output DIR]

The server has one core and the client (h2load, of nghttp2) another one. Each row also tells the processor time that a
call took, which other work on the machine disturbs less than calls a second. h2load asks the same question all the
time; what a mix of callers costs beyond that, ``run`` measures.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.workload import make_workload
from pdp.rules.compile import Compiler
from pdp.rules.model import Revision
from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SERVER_CORE, CLIENT_CORE = "0", "1"
LOADED, ALONE, MANY = (8, 8), (1, 1), (1, 2)
"""Connections, and calls in flight on each."""
MANY_CALLS = 1000
PORT = 50671
_START_SECONDS = 60.0
SERVERS = ("nginx", "grpcio-empty", "grpcio", "native")
_NGINX = """
worker_processes 1; daemon off; pid {0}/nginx.pid; error_log {0}/nginx.log;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 1000000000;
  server {{ listen 127.0.0.1:{1} http2; location / {{ return 200; }} }} }}
"""
_SERVE = """
import logging, signal, sys, grpc, structlog
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from pdp.app import Server, ServerSettings
from pdp.current import CurrentSnapshots
from pdp.metrics import Metrics
from pdp.native.choice import Transport
from pdp.rules.snapshot import decode
from rightcall.cli.processes import settle
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
kind, blob, port = sys.argv[1:]
address = f"127.0.0.1:{port}"
if kind == "grpcio-empty":
    class Echo(grpc.GenericRpcHandler):
        def service(self, details):
            return grpc.unary_unary_rpc_method_handler(lambda request, context: request)
    server = grpc.server(ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((Echo(),))
    server.add_insecure_port(address)
    server.start()
else:
    current = CurrentSnapshots("bench")
    current.replace(decode(Path(blob).read_bytes()))
    settings = ServerSettings(listen=address, http="")
    server = Server(settings, current, Metrics(current, "bench"), transport=Transport(kind))
    server.start()
settle()
signal.sigwait([signal.SIGTERM])
"""


class Load(NamedTuple):
    """What a run of h2load came to.

    Attributes:
        rate: answers a second.
        p50: seconds.
        p99: seconds.
        cpu: seconds of processor time of the server an answer.
    """

    rate: float
    p50: float
    p99: float
    cpu: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs it all, prints a table, writes ``server.json``."""
    parser = argparse.ArgumentParser(description="The server under load, beside nginx.")
    parser.add_argument("--permissions", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=Path(".bench"))
    options = parser.parse_args(arguments)
    missing = [tool for tool in ("h2load", "nginx", "taskset") if shutil.which(tool) is None]
    if missing:
        print(f"{', '.join(missing)} not found; install nghttp2-client, nginx-light and util-linux")
        return 2
    with tempfile.TemporaryDirectory() as made:
        results = _measure(Path(made), options.permissions, options.seconds)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "server.json").write_text(json.dumps(results, indent=2), encoding="utf-8")
    return 0


def _measure(directory: Path, permissions: int, seconds: int) -> dict[str, dict[str, dict[str, float]]]:
    workload = make_workload(permissions, calls=MANY_CALLS)
    blob = Compiler().compile(workload.tenant, Revision(1, "ab" * 32), compiled_at=1.5e9)
    (directory / "blob").write_bytes(blob)
    calls = [v1.CheckCallRequest(caller=c.caller, extension=c.extension, outcall=c.outcall) for c in workload.calls]
    (directory / "one").write_bytes(_framed(calls[0].SerializeToString()))
    (directory / "many").write_bytes(_framed(v1.CheckCallsRequest(calls=calls).SerializeToString()))
    results: dict[str, dict[str, dict[str, float]]] = {}
    print(f"{'':14}{'what':>10}{'calls/s':>12}{'p50 µs':>10}{'p99 µs':>10}{'CPU µs':>10}")
    for kind in SERVERS:
        with _server(kind, directory) as process:
            runs = {"loaded": (LOADED, "CheckCall", "one"), "alone": (ALONE, "CheckCall", "one")}
            if kind in ("grpcio", "native"):
                runs["many"] = (MANY, "CheckCalls", "many")
            for what, (shape, method, body) in runs.items():
                load = _load(process.pid, shape, method, directory / body, seconds)
                results.setdefault(kind, {})[what] = load._asdict()
                figures = f"{load.rate:12.0f}{load.p50 * 1e6:10.0f}{load.p99 * 1e6:10.0f}{load.cpu * 1e6:10.1f}"
                print(f"{kind:14}{what:>10}{figures}", flush=True)
    _print_ratios(results)
    return results


def _print_ratios(results: dict[str, dict[str, dict[str, float]]]) -> None:
    native, nginx, grpcio, empty = (results[kind] for kind in ("native", "nginx", "grpcio", "grpcio-empty"))
    ratios = {
        "native against nginx, loaded (target: at least 0.50)": native["loaded"]["rate"] / nginx["loaded"]["rate"],
        "native against nginx, p50 alone (target: at most 2.2)": native["alone"]["p50"] / nginx["alone"]["p50"],
        "grpcio against its empty handler (target: at least 0.9)": grpcio["loaded"]["rate"] / empty["loaded"]["rate"],
        "native, decisions/s by CheckCalls (target: at least 200,000)": native["many"]["rate"] * MANY_CALLS,
    }
    for what, ratio in ratios.items():
        print(f"{what}: {ratio:,.2f}")


def _framed(message: bytes) -> bytes:
    return b"\0" + struct.pack(">I", len(message)) + message


@contextmanager
def _server(kind: str, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server on a core of its own; the process is the one that answers."""
    command = [sys.executable, "-c", _SERVE, kind, str(directory / "blob"), str(PORT)]
    if kind == "nginx":
        (directory / "nginx.conf").write_text(_NGINX.format(directory, PORT), encoding="ascii")
        command = ["nginx", "-c", str(directory / "nginx.conf"), "-g", "master_process off;"]
    process = subprocess.Popen(["taskset", "-c", SERVER_CORE, *command])
    try:
        _await_listening()
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _await_listening() -> None:
    """Waits for a socket in the state LISTEN, which is 0A."""
    listening = re.compile(f":{PORT:04X} \\S+ 0A ")
    deadline = time.monotonic() + _START_SECONDS
    tables = Path("/proc/net/tcp"), Path("/proc/net/tcp6")
    while not any(listening.search(table.read_text(encoding="ascii")) for table in tables):
        assert time.monotonic() < deadline, "the server does not start"
        time.sleep(0.1)


def _load(process: int, shape: tuple[int, int], method: str, body: Path, seconds: int, attempts: int = 3) -> Load:
    log = body.with_suffix(".log")
    log.unlink(missing_ok=True)
    before = _cpu(process)
    done = subprocess.run(
        [
            *("taskset", "-c", CLIENT_CORE, "h2load", "-c", str(shape[0]), "-m", str(shape[1]), "-D", str(seconds)),
            *("--warm-up-time=1", "-d", str(body), f"--log-file={log}"),
            *("-H", "content-type: application/grpc", "-H", "te: trailers"),
            f"http://127.0.0.1:{PORT}/rightcall.v1.DecisionService/{method}",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    cpu = _cpu(process) - before
    found = re.search(r"requests: (\d+) total.* (\d+) succeeded, (\d+) failed", done.stdout)
    assert found, done.stdout
    count, failed = int(found[2]), int(found[3])
    assert not failed, done.stdout
    if not count and attempts:  # h2load sometimes loses its start where the machine is busy
        time.sleep(1.0)
        return _load(process, shape, method, body, seconds, attempts - 1)
    assert count, done.stdout
    times = [int(line.split("\t")[2]) / 1e6 for line in log.read_text(encoding="ascii").splitlines()]
    cuts = statistics.quantiles(times, n=100)
    # The second to warm up is in the processor time, and not in the count.
    return Load(count / seconds, cuts[49], cuts[98], cpu / (count * (seconds + 1) / seconds))


def _cpu(process: int) -> float:
    user, system = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
