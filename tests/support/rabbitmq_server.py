"""A real RabbitMQ of the test's own: its own ports, node name and files, to be killed and started again at will."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pika
import pytest
from pika.exceptions import AMQPError
from redis_server import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

EXCHANGE = "wazo-headers"
_SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
_START_SECONDS = 60


class RabbitmqServer:
    """A broker as a context manager; its port stays the same when it is started again, and so does the exchange."""

    def __init__(self) -> None:
        if not _SERVER.exists() or shutil.which("erl") is None:
            pytest.fail(
                "rabbitmq-server is not installed; run: apt-get install --no-install-recommends rabbitmq-server"
            )
        self.port = free_port()
        self._epmd, self._dist = free_port(), free_port()
        self._directory = tempfile.TemporaryDirectory(prefix="rightcall-rabbitmq-", ignore_cleanup_errors=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._names: subprocess.Popen[bytes] | None = None
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Starts it and waits until it answers."""
        if self._names is None:  # the broker would start one that outlives it
            command = ["epmd", "-port", str(self._epmd), "-address", "127.0.0.1"]
            self._names = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [_SERVER], env=self._environment(), stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                with self.connection() as connection:
                    connection.channel().exchange_declare(EXCHANGE, exchange_type="headers", durable=True)
            except (AMQPError, OSError):
                ended = self._process.poll() is not None
                if ended or time.monotonic() > deadline:
                    pytest.fail(f"RabbitMQ did not start: {self._log.read_text(errors='replace')[-3000:]}")
                time.sleep(0.1)
            else:
                return

    def kill(self) -> None:
        """``kill -9``: the broker and the processes that it started."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def connection(self) -> pika.BlockingConnection:
        """A connection of the test's own."""
        return pika.BlockingConnection(pika.URLParameters(self.url))

    def publish(self, *events: Mapping[str, Any]) -> None:
        """Publishes events as Wazo does: what they are in the headers, and the headers and ``data`` in the body."""
        with self.connection() as connection:
            channel = connection.channel()
            for event in events:
                headers = {key: value for key, value in event.items() if key != "data"}
                properties = pika.BasicProperties(headers=headers, content_type="application/json")
                channel.basic_publish(EXCHANGE, "", json.dumps(event).encode(), properties)

    def control(self, *arguments: str) -> None:
        """Runs ``rabbitmqctl``."""
        command = ["/usr/lib/rabbitmq/bin/rabbitmqctl", "-q", *arguments]
        subprocess.run(command, env=self._environment(), capture_output=True, check=True)

    @property
    def _log(self) -> Path:
        return Path(self._directory.name, "output")

    def _environment(self) -> dict[str, str]:
        home = Path(self._directory.name)
        (home / "enabled_plugins").write_text("[].")
        # 127.0.0.1 alone, and small: the broker is there for one test
        (home / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\nlog.console = true\nlog.console.level = warning\n"
            "vm_memory_high_watermark.absolute = 512MB\ndisk_free_limit.absolute = 1MB\n"
        )
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "ERL_EPMD_PORT": str(self._epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"rightcall{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(self._dist),
            "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
            "RABBITMQ_LOG_BASE": str(home / "log"),
            "RABBITMQ_PID_FILE": str(home / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
            "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(home / "none"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none",
            "LANG": "C.UTF-8",
        }

    def __enter__(self) -> Self:
        """Starts it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Kills it and Erlang's name server, and removes its files."""
        self.kill()
        if self._names is not None:
            self._names.kill()
            self._names.wait()
        self._directory.cleanup()


def running_rabbitmq() -> Iterator[RabbitmqServer]:
    """For fixtures: a broker, and after the test its end."""
    with RabbitmqServer() as server:
        yield server
