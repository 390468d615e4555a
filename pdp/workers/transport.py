"""Workers as a transport: workers share one port for the hot methods; grpcio in this process serves the others."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from pdp.runtime.address import Address, check_free, listen_error, parse_address
from pdp.transports.grpcio import SETTLE_SECONDS
from pdp.transports.native import Behind
from pdp.workers.processes import Recruits
from pdp.workers.supervisor import Supervisor, begin_message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.metrics.registry import Metrics
    from pdp.services.methods import Method
    from pdp.settings import ServerSettings
    from pdp.workers.shared_snapshots import SharedSnapshots

_REFUSE_SECONDS = 5.0
"""Seconds, beyond the time for calls in flight, for workers to report that new calls are rejected."""


class WorkersTransport:
    """Serves methods on one address, from several processes.

    Args:
        settings: the address, and the limits.
        methods: the methods served.
        metrics: where requests are counted.
        workers: number of worker processes.
        snapshots: the snapshots that workers answer from.
        version: the server's version.
        secrets: the deployment's keys, for challenges.
        recruits: workers started beforehand; None: workers are started with the transport.
    """

    def __init__(
        self,
        settings: ServerSettings,
        methods: Sequence[Method],
        metrics: Metrics,
        *,
        workers: int,
        snapshots: SharedSnapshots,
        version: str,
        secrets: Sequence[bytes],
        recruits: Recruits | None = None,
    ) -> None:
        self.address = settings.listen
        self._settings = settings
        self._metrics = metrics
        self._workers = workers
        self._snapshots = snapshots
        self._version = version
        self._secrets = secrets
        self._recruits = recruits
        self._behind = Behind(settings, methods, metrics)
        self._port: socket.socket | None = None
        self._supervisor: Supervisor | None = None
        self.set_serving = self._behind.transport.set_serving
        """Sets the status of health checks."""

    @property
    def processes(self) -> list[int]:
        """The ids of the worker processes."""
        return self._supervisor.processes if self._supervisor else []

    def start(self) -> None:
        """Listens and serves; from then on ``address`` names the real port.

        Raises:
            ListenError: the address cannot be listened on.
        """
        recruits = self._recruits or Recruits(self._workers)
        try:
            self._port, self.address = _reserved(self._settings.listen)
            self._behind.transport.start()
            self._supervisor = self._make_supervisor(recruits)
            self._supervisor.start()
        except BaseException:
            recruits.close()
            self._behind.stop()
            self._release()
            raise

    def stop(self) -> None:
        """Sets NOT_SERVING, waits for load balancers, takes no more calls, and ends those in flight."""
        supervisor = self._supervisor
        if supervisor is None:
            self._behind.stop()
            return
        stopping = threading.Thread(target=self._behind.stop, name="stop")
        stopping.start()
        # The grpcio server waits as long before rejecting, and then ends the calls in flight through the workers.
        time.sleep(max(self._settings.drain_delay, SETTLE_SECONDS))
        supervisor.refuse(self._settings.drain_seconds + _REFUSE_SECONDS)
        stopping.join()
        supervisor.close()
        self._release()

    def _make_supervisor(self, recruits: Recruits) -> Supervisor:
        own = replace(self._settings, listen=self.address)
        settings = {field.name: getattr(own, field.name) for field in fields(own) if field.name != "security"}
        begin = begin_message(
            settings,
            fallback=self._behind.path,
            source=self._snapshots.source,
            version=self._version,
            secrets=self._secrets,
        )
        return Supervisor(self._workers, begin, self._snapshots, self._metrics, recruits)

    def _release(self) -> None:
        if self._port is not None:
            self._port.close()


def _reserved(text: str) -> tuple[socket.socket, str]:
    """A bound socket that reserves the port for the workers, and their address. The socket takes no connections.

    Raises:
        ListenError: the address is in use, or invalid.
    """
    address = parse_address(text)
    if address.port:
        check_free(address)  # workers share the port; with a stranger they must not
    family, socket_address = address.socket_addresses()[0]
    held = socket.socket(family, socket.SOCK_STREAM)
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(socket_address)
    except OSError as error:
        held.close()
        raise listen_error(address, error) from None
    host, port = held.getsockname()[:2]
    return held, str(Address(host, port))
