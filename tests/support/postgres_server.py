"""A real PostgreSQL of the test's own: on a free port, in a directory of its own, to be killed and started again."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import asyncpg
import pytest
from redis_server import free_port

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

PASSWORD: Final = "a p@ss/w?rd#"
"""Of the superuser; in a URL it must be escaped."""

_START_SECONDS = 20
_DEBIAN = Path("/usr/lib/postgresql")


def _binaries() -> Path:
    """Where initdb and postgres are. Debian has them outside PATH, beside each other for each version."""
    versions = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = str(versions[-1]) if versions else shutil.which("initdb")
    if found is None:
        pytest.fail("PostgreSQL is not installed; run `make test`, or: apt-get install postgresql")
    return Path(found).parent


def make_certificate(directory: Path) -> Path:
    """Makes a certificate for 127.0.0.1 that vouches for itself, and its key beside it."""
    certificate, key = directory / "server.crt", directory / "server.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    key.chmod(0o600)
    return certificate


class PostgresServer:
    """A PostgreSQL server as a context manager. What it holds stays when it is killed and started again."""

    def __init__(self) -> None:
        self._binaries = _binaries()
        # PostgreSQL refuses to run as root, as which containers often run tests.
        self._user = "postgres" if os.geteuid() == 0 else None
        self._directory = Path(tempfile.mkdtemp(prefix="rightcall-postgres-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    def url(self, database: str = "postgres", user: str = "postgres", password: str = "a%20p%40ss%2Fw%3Frd%23") -> str:
        """The URL of a database, as an operator writes it."""
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def start(self, **more_settings: str) -> None:
        """Starts it, with settings beside the tests' own, and waits until it answers."""
        data = self._directory / "data"
        command = [str(self._binaries / "postgres"), "-D", str(data), "-p", str(self.port)]
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self._directory),
            "fsync": "off",
            "max_connections": "30",
            "shared_buffers": "64MB",
            **more_settings,
        }
        command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, user=self._user, group=self._user)
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                self.execute("SELECT 1")
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                assert time.monotonic() < deadline, (self._directory / "log").read_text()
                time.sleep(0.05)
            else:
                return

    def start_with_tls(self) -> Path:
        """Starts it with a certificate for 127.0.0.1; returns that of the authority."""
        certificate = make_certificate(self._directory / "data")
        if self._user is not None:
            for path in (certificate, certificate.with_suffix(".key")):
                shutil.chown(path, self._user, self._user)
        self.start(ssl="on")
        return certificate

    def kill(self) -> None:
        """``kill -9`` of the server and of every process of a connection."""
        if self._process is not None:
            for pid in [self._process.pid, *self._children()]:
                self._signal(pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Hangs it: connections stay, answers stop."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets it go on."""
        self._signal_all(signal.SIGCONT)

    def execute(self, sql: str, *arguments: object, database: str = "postgres") -> None:
        """Runs a statement, or several if there are no arguments."""

        async def run(connection: Any) -> None:
            await connection.execute(sql, *arguments)

        self.with_connection(run, database)

    def insert(self, table: str, columns: str, rows: Sequence[tuple[object, ...]], *, database: str) -> None:
        """Puts rows into a table."""

        async def run(connection: Any) -> None:
            await connection.copy_records_to_table(table, columns=columns.split(), records=rows)

        if rows:
            self.with_connection(run, database)

    def value(self, sql: str, *arguments: object, database: str = "postgres") -> object:
        """The first value that a query gives."""
        found: list[object] = []

        async def run(connection: Any) -> None:
            found.append(await connection.fetchval(sql, *arguments))

        self.with_connection(run, database)
        return found[0]

    def with_connection(self, run: Callable[[Any], Awaitable[None]], database: str) -> None:
        """Awaits ``run`` with a connection of the superuser's, and closes it."""

        async def connected() -> None:
            # No TLS: asyncpg does not await the end of a TLS connection that a starting server refuses.
            connection = await asyncpg.connect(self.url(database), timeout=5, ssl=False)
            try:
                await run(connection)
            finally:
                await connection.close(timeout=5)

        asyncio.run(connected())

    @contextmanager
    def idle_connection(self, database: str) -> Iterator[Callable[[str], None]]:
        """A connection that stays open and does nothing but what is run over it."""
        with asyncio.Runner() as runner:
            connection = runner.run(asyncpg.connect(self.url(database), timeout=5, ssl=False))
            try:
                yield lambda sql: runner.run(_run(connection, sql))
            finally:
                runner.run(connection.close(timeout=5))

    def _children(self) -> list[int]:
        assert self._process is not None
        pid = self._process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def _signal_all(self, number: signal.Signals) -> None:
        assert self._process is not None
        for pid in [self._process.pid, *self._children()]:
            self._signal(pid, number)

    @staticmethod
    def _signal(pid: int, number: signal.Signals) -> None:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return  # it ended by itself meanwhile

    def __enter__(self) -> Self:
        """Makes an empty cluster and starts it."""
        if self._user is not None:
            shutil.chown(self._directory, self._user, self._user)
        password = self._directory / "password"
        password.write_text(PASSWORD, encoding="utf-8")
        command = [str(self._binaries / "initdb"), "-D", str(self._directory / "data"), "-U", "postgres", "-E", "UTF8"]
        command += ["--auth=scram-sha-256", f"--pwfile={password}", "--no-sync", "--locale=C.UTF-8"]
        password.chmod(0o644)
        done = subprocess.run(command, capture_output=True, text=True, check=False, user=self._user, group=self._user)
        assert done.returncode == 0, done.stdout + done.stderr
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Kills it and removes its files."""
        self.kill()
        shutil.rmtree(self._directory)


async def _run(connection: Any, sql: str) -> None:
    await connection.execute(sql)


def running_postgres() -> Iterator[PostgresServer]:
    """For fixtures: a server, and after the tests its end."""
    with PostgresServer() as server:
        yield server
