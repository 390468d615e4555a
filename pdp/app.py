"""The server, put together: services, transport, HTTP. The one place that knows them all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import structlog

from pdp.directory import DirectoryService
from pdp.http import HttpServer, Readiness
from pdp.service import DecisionService, methods
from pdp.settings import ServerSettings
from pdp.transport import GrpcTransport
from pdp.version import version

if TYPE_CHECKING:
    from pdp.current import CurrentSnapshots
    from pdp.metrics import Metrics

__all__ = ["Server", "ServerSettings"]

_log = structlog.get_logger()


class Server:
    """Answers from the current snapshots until it is stopped; as a context manager, it serves inside the block.

    Args:
        settings: where it listens, and its limits.
        current: what it answers from; somebody else keeps it up to date.
        metrics: where it counts.
    """

    def __init__(self, settings: ServerSettings, current: CurrentSnapshots, metrics: Metrics) -> None:
        self._settings = settings
        self._current = current
        self._registry = metrics.registry
        self._http: HttpServer | None = None
        self._stopping = False
        services = DecisionService(current, metrics), DirectoryService(current, version())
        self._transport = GrpcTransport(settings, methods(*services), metrics)

    @property
    def address(self) -> str:
        """Where the gRPC API is; the real port, once started."""
        return self._transport.address

    @property
    def http_address(self) -> str:
        """Where metrics and health are; the real port, once started; empty where there are none."""
        return self._http.address if self._http else self._settings.http

    def start(self) -> None:
        """Listens and serves.

        Raises:
            ListenError: an address cannot be listened on; nothing is left running then.
        """
        self._current.on_ready(self._transport.set_serving)
        if self._settings.http:
            self._http = HttpServer(self._settings.http, self._registry, self._readiness)
        try:
            self._transport.start()
        except BaseException:
            self._stop_http()
            raise
        if self._http:
            self._http.start()
        _log.info("server_started", grpc=self.address, http=self.http_address)

    def stop(self) -> None:
        """Stops gracefully: NOT_SERVING and not ready at once, then the calls in flight end, then everything else."""
        if self._stopping:
            return
        self._stopping = True
        _log.info("server_stopping", drain_seconds=self._settings.drain_seconds)
        self._transport.stop()
        self._stop_http()
        _log.info("server_stopped")

    def __enter__(self) -> Self:
        """Starts."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stops."""
        self.stop()

    def _stop_http(self) -> None:
        if self._http:
            self._http.stop()

    def _readiness(self) -> Readiness:
        if self._stopping:
            return Readiness(ready=False, reason="not ready: the server is stopping")
        error = f"; {self._current.source_error}" if self._current.source_error else ""
        if not self._current.ready:
            return Readiness(ready=False, reason=f"not ready: no rules are loaded from {self._current.source}{error}")
        count = len(self._current.held())
        tenants = "1 tenant" if count == 1 else f"{count} tenants"
        return Readiness(ready=True, reason=f"ready: {tenants} from {self._current.source}{error}")
