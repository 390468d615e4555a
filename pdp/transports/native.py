"""The native transport: a front for the calls that come by the thousand, and grpcio behind the front for all others.

The front listens. Methods that the front does not serve (challenges, streams, health, reflection, the directory) are
passed on, byte by byte, to a grpcio server on a Unix socket in a directory that only this user can enter. So there is
one implementation of each method but the hot ones, and those give the same responses (``hot``).
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pdp.transports.grpcio import SETTLE_SECONDS, GrpcTransport
from pdp.transports.native_front import Front

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.metrics.registry import Metrics
    from pdp.services.fastpath import HotCalls
    from pdp.services.methods import Method
    from pdp.settings import ServerSettings


class NativeTransport:
    """Serves methods on one address.

    Args:
        settings: the address, and the limits; ``choice`` has rejected limits that this transport lacks.
        methods: the methods served.
        metrics: where requests are counted.
        hot: answers the methods that the front serves itself.
    """

    def __init__(self, settings: ServerSettings, methods: Sequence[Method], metrics: Metrics, *, hot: HotCalls) -> None:
        self.address = settings.listen
        self._settings = settings
        self._metrics = metrics
        self._hot = hot
        self._behind = Behind(settings, methods, metrics)
        self._front: Front | None = None
        self.set_serving = self._behind.transport.set_serving
        """Sets the status of health checks."""

    def start(self) -> None:
        """Listens and serves; from then on ``address`` names the real port.

        Raises:
            ListenError: the address cannot be listened on.
        """
        try:
            self._front = Front(self._settings, self._hot, self._metrics, fallback=self._behind.path)
        except BaseException:
            self._behind.stop()
            raise
        self._behind.transport.start()
        self._front.start()
        self.address = self._front.address

    def stop(self) -> None:
        """Sets NOT_SERVING, waits for load balancers, takes no more calls, and ends those in flight."""
        front = self._front
        if front is None:
            self._behind.stop()
            return
        stopping = threading.Thread(target=self._behind.stop, name="stop")
        stopping.start()
        # The grpcio server waits as long before rejecting, and then ends the calls in flight through the front.
        time.sleep(max(self._settings.drain_delay, SETTLE_SECONDS))
        front.refuse()
        stopping.join()
        front.close()


class Behind:
    """The grpcio server behind fronts.

    Args:
        settings: the limits.
        methods: the methods served.
        metrics: where requests are counted.

    Attributes:
        path: path of the server's socket.
        transport: the server.
    """

    def __init__(self, settings: ServerSettings, methods: Sequence[Method], metrics: Metrics) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="rightcall-"))
        self.path = str(self._directory / "grpc.sock")
        # All calls of a front come over one connection, so limits of connections are the front's.
        own = replace(settings, listen=f"unix:{self.path}", max_concurrent_streams=0)
        self.transport = GrpcTransport(own, methods, metrics)

    def stop(self) -> None:
        """Stops the server, and removes the socket."""
        self.transport.stop()
        shutil.rmtree(self._directory, ignore_errors=True)
