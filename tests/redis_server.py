"""A real Redis of the test's own: on a free port, without persistence, to be killed and started again at will."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest
from redis import Redis
from redis.exceptions import RedisError

if TYPE_CHECKING:
    from collections.abc import Iterator

_START_SECONDS = 10


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class RedisServer:
    """A Redis server as a context manager; its port stays the same when it is started again, its data does not."""

    def __init__(self, *, password: str = "") -> None:
        binary = shutil.which("redis-server")
        if binary is None:
            pytest.fail("redis-server is not installed; run `make test`, or: apt-get install redis-server")
        self._binary = binary
        self.port = free_port()
        self._password = password
        self._directory = ""
        self._process: subprocess.Popen[bytes] | None = None
        credentials = f":{password}@" if password else ""
        self.url = f"redis://{credentials}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Starts it, empty, and waits until it answers."""
        self._directory = self._directory or tempfile.mkdtemp(prefix="rightcall-redis-")
        command = [self._binary, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self._directory]
        command += ["--save", "", "--appendonly", "no"]
        if self._password:
            command += ["--requirepass", self._password]
        with Path(self._directory, "log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + _START_SECONDS
        with self.client() as client:
            while True:
                try:
                    client.ping()
                except RedisError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.02)
                else:
                    return

    def kill(self) -> None:
        """``kill -9``: whatever it was doing, it stops doing, and all that it held is lost."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Hangs it: connections stay, answers stop."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def client(self) -> Redis:
        """A client of the test's own."""
        return Redis.from_url(self.url, socket_timeout=5)

    def __enter__(self) -> Self:
        """Starts it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Kills it and removes its files."""
        self.kill()
        shutil.rmtree(self._directory, ignore_errors=True)


def running_redis() -> Iterator[RedisServer]:
    """For fixtures: a server, and after the test its end."""
    with RedisServer() as server:
        yield server
