"""A real Redis of the test's own: on a free port, without persistence, to be killed and started again at will."""

from __future__ import annotations

import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
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
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on at the moment, each another one.

    Not of those that the system gives to outgoing connections, of which one might take the port while a slow server is
    starting.
    """
    chosen: list[int] = []
    while len(chosen) < count:
        port = random.randrange(10_240, 32_768)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in chosen:
                chosen.append(port)
    return chosen


class RedisServer:
    """A Redis server as a context manager; its port stays the same when it is started again, its data does not.

    Args:
        password: of its default user; empty: none.
        tls: files of its certificate, its key and its authority; None: it speaks in the clear.
    """

    def __init__(self, *, password: str = "", tls: tuple[Path, Path, Path] | None = None) -> None:
        binary = shutil.which("redis-server")
        if binary is None:
            pytest.fail("redis-server is not installed; run `make test`, or: apt-get install redis-server")
        self._binary = binary
        self.port = free_port()
        self._password = password
        self._directory = ""
        self._process: subprocess.Popen[bytes] | None = None
        credentials = f":{password}@" if password else ""
        self._tls = tls
        self.url = f"redis://{credentials}127.0.0.1:{self.port}/0"
        if tls:
            self.url = f"rediss://{credentials}127.0.0.1:{self.port}/0?ssl_ca_certs={tls[2]}"

    def start(self) -> None:
        """Starts it, empty, and waits until it answers."""
        self._directory = self._directory or tempfile.mkdtemp(prefix="rightcall-redis-")
        command = [self._binary, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self._directory]
        command += ["--save", "", "--appendonly", "no"]
        if self._tls:
            command[2] = "0"
            names = ("--tls-cert-file", "--tls-key-file", "--tls-ca-cert-file")
            command += ["--tls-port", str(self.port), "--tls-auth-clients", "no"]
            command += [part for name, path in zip(names, self._tls, strict=True) for part in (name, str(path))]
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
