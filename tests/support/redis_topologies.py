"""Redis as operators run it: a master with replicas and sentinels, and a cluster. Real processes on free ports."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from redis import Redis
from redis.exceptions import RedisError
from redis_server import free_ports
from waiting import until

NODES = 3
SLOTS = 16384
_QUICK = "400"
"""Milliseconds without an answer after which a node counts as down."""


class _Processes:
    """Redis processes in a directory of their own."""

    def __init__(self) -> None:
        self._directory = tempfile.mkdtemp(prefix="rightcall-redis-")
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, port: int, *options: str, config: str | None = None, password: str = "") -> None:
        """Starts a process and waits until it answers."""
        directory = Path(self._directory, str(port))
        directory.mkdir(exist_ok=True)
        command = ["redis-server"]
        if config is not None:
            path = directory / "sentinel.conf"
            path.write_text(config)
            command += [str(path), "--sentinel"]
        command += ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory), *options]
        with (directory / "log").open("ab") as log:
            self._running[port] = subprocess.Popen(command, stdout=log, stderr=log)
        with Redis(port=port, password=password or None) as client:
            until(lambda: _answers(client), f"port {port} answers")

    def kill(self, port: int) -> None:
        """Kills a process as if its machine had died."""
        process = self._running.pop(port)
        process.kill()
        process.wait()

    def end(self) -> None:
        """Kills all that is left."""
        for port in list(self._running):
            self.kill(port)
        shutil.rmtree(self._directory, ignore_errors=True)


class SentinelSet:
    """One master, two replicas, three sentinels.

    Args:
        password: of the sentinels alone; empty: none.
        tls: files of the sentinels' certificate, its key and its authority: clients ask them over TLS then.
    """

    name = "rightcall-master"

    def __init__(self, *, password: str = "", tls: tuple[Path, Path, Path] | None = None) -> None:
        self._processes = _Processes()
        self._password = password
        self._tls = tls
        ports = free_ports(3 * NODES)
        self.servers, self.sentinels, self._tls_ports = ports[:NODES], ports[NODES:-NODES], ports[-NODES:]
        hosts = ",".join(f"127.0.0.1:{port}" for port in (self._tls_ports if tls else self.sentinels))
        self.url = f"redis+sentinel://{hosts}/{self.name}/0"

    def __enter__(self) -> Self:
        """Starts all, and waits until the sentinels know each other and the replicas."""
        master, *replicas = self.servers
        plain = ("--save", "", "--appendonly", "no")
        self._processes.start(master, *plain)
        for replica in replicas:
            self._processes.start(replica, *plain, "--replicaof", "127.0.0.1", str(master))
        config = "\n".join(
            (
                f"sentinel monitor {self.name} 127.0.0.1 {master} 2",
                f"sentinel down-after-milliseconds {self.name} {_QUICK}",
                f"sentinel failover-timeout {self.name} 3000",
            )
        )
        if self._password:
            config += f"\nrequirepass {self._password}\nsentinel sentinel-pass {self._password}"
        for sentinel, tls_port in zip(self.sentinels, self._tls_ports, strict=True):
            self._processes.start(sentinel, *self._tls_options(tls_port), config=config, password=self._password)
        until(self._complete, "the sentinels know each other")
        return self

    def __exit__(self, *_: object) -> None:
        """Kills all."""
        self._processes.end()

    def _tls_options(self, port: int) -> tuple[str, ...]:
        if self._tls is None:
            return ()
        chain, key, authority = map(str, self._tls)
        files = ("--tls-cert-file", chain, "--tls-key-file", key, "--tls-ca-cert-file", authority)
        return ("--tls-port", str(port), "--tls-auth-clients", "no", *files)

    def master(self) -> int:
        """The port of the master, as the sentinels know it."""
        for sentinel in self.sentinels:
            with Redis(port=sentinel, password=self._password or None) as client:
                found = client.sentinel_get_master_addr_by_name(self.name)
                return int(found[1])
        raise AssertionError

    def kill_master(self) -> None:
        """Kills the master, and waits until the sentinels have made another one."""
        dead = self.master()
        self._processes.kill(dead)
        until(lambda: self.master() != dead, "another master is chosen")

    def _complete(self) -> bool:
        for sentinel in self.sentinels:
            with Redis(port=sentinel, password=self._password or None) as client:
                state = client.sentinel_masters()[self.name]
                if (state["num-slaves"], state["num-other-sentinels"]) != (NODES - 1, NODES - 1):
                    return False
        return True


class ClusterSet:
    """Three nodes that share the slots."""

    def __init__(self) -> None:
        self._processes = _Processes()
        ports = free_ports(2 * NODES)
        self.nodes, self._buses = ports[:NODES], list(map(str, ports[NODES:]))
        self.url = "redis+cluster://" + ",".join(f"127.0.0.1:{port}" for port in self.nodes)

    def __enter__(self) -> Self:
        """Starts the nodes, gives each its slots, and waits until all agree."""
        share = SLOTS // NODES + 1
        for number, port in enumerate(self.nodes):
            options = (
                "--cluster-enabled",
                "yes",
                "--cluster-port",
                self._buses[number],
                "--save",
                "",
                "--appendonly",
                "no",
            )
            self._processes.start(port, *options)
            with Redis(port=port) as client:
                first, last = number * share, min((number + 1) * share, SLOTS) - 1
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
                client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
                if number:
                    client.execute_command("CLUSTER", "MEET", "127.0.0.1", self.nodes[0], self._buses[0])
        until(lambda: all(_agrees(port) for port in self.nodes), "the nodes agree")
        return self

    def __exit__(self, *_: object) -> None:
        """Kills all."""
        self._processes.end()


def _answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except RedisError:
        time.sleep(0.02)
        return False


def _agrees(port: int) -> bool:
    with Redis(port=port) as client:
        state = client.execute_command("CLUSTER", "INFO")
        text = state if isinstance(state, dict) else dict(line.split(":") for line in state.decode().split())
        return text["cluster_state"] == "ok" and int(text["cluster_known_nodes"]) == NODES
