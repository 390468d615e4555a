"""Servers that decide nothing: what the client, HTTP/2 and gRPC cost by themselves, on the same core as ours."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from bench.facts import SERVER_CORE, listening
from bench.peer import EMPTY
from redis_server import free_port
from waiting import until

from load.prepare import module_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

NGINX: Final = "nginx"
_NGINX: Final = """
worker_processes 1; daemon off; pid {0}/nginx.pid; error_log {0}/nginx.log;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 1000000000; http2_max_concurrent_streams 100000;
  server {{ listen 127.0.0.1:{1} http2; location / {{ return 200; }} }} }}
"""


class Baseline(NamedTuple):
    """A server that runs: its process and its port."""

    process: int
    port: int


@contextmanager
def baseline(kind: str) -> Iterator[Baseline]:
    """Runs nginx with an empty answer, or a handler of grpcio that returns its request."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="rightcall-load-") as directory:
        command = [sys.executable, "-m", "bench.peer", EMPTY, "", str(port)]
        if kind == NGINX:
            file = Path(directory, "nginx.conf")
            file.write_text(_NGINX.format(directory, port), encoding="ascii")
            command = ["nginx", "-c", str(file), "-g", "master_process off;"]
        process = subprocess.Popen(["taskset", "-c", str(SERVER_CORE), *command], env=module_environment())
        try:
            until(lambda: listening(port), f"{kind} listens")
            yield Baseline(process.pid, port)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
