"""Servers of a comparison that are not ours to run: a process on the server's core, from when it listens."""

from __future__ import annotations

import signal
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from load.prepare import module_environment

from bench.facts import SERVER_CORE, listening

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_START_SECONDS: Final = 60.0
_NGINX: Final = """
worker_processes 1; daemon off; pid {0}/nginx.pid; error_log {0}/nginx.log;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 1000000000; {2}
  server {{ listen 127.0.0.1:{1} {3} http2; location / {{ return 200; }} }} }}
"""


@contextmanager
def started(command: Sequence[str], port: int) -> Iterator[int]:
    """A server on a core of its own; its process id, once it listens on this port."""
    process = subprocess.Popen(["taskset", "-c", str(SERVER_CORE), *command], env=module_environment())
    try:
        _await_listening(process, port)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def nginx(directory: Path, port: int, certificate: tuple[str, str] | None = None) -> list[str]:
    """The command of an nginx whose reply is empty, with its files in this directory.

    Args:
        directory: of its own.
        port: to listen on.
        certificate: the files of the chain and of the key, for TLS 1.3; None: no TLS.
    """
    tls = (
        "ssl_certificate {}; ssl_certificate_key {}; ssl_protocols TLSv1.3;".format(*certificate) if certificate else ""
    )
    file = directory / "nginx.conf"
    file.write_text(_NGINX.format(directory, port, tls, "ssl" if certificate else ""), encoding="ascii")
    return ["nginx", "-c", str(file), "-g", "master_process off;"]


def _await_listening(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not listening(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise TimeoutError("the server does not start; its last words are above")
        time.sleep(0.1)
