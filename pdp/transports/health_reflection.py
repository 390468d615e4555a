"""The gRPC services that every server has: health checking and reflection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.transports.health import HEALTH, Health
from pdp.transports.reflection import Reflection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import grpc

    from pdp.metrics.registry import Metrics
    from pdp.transports.reception import Receptions


class StandardServices:
    """Health and reflection of a server.

    Args:
        server: the grpcio server that serves both.
        services: the full names of the services reported.
        receptions: limits the time and size of requests.
        metrics: where rejected requests are counted.
        peer: returns the address that a call comes from, in gRPC's form.
    """

    def __init__(
        self,
        server: grpc.Server,
        services: Sequence[str],
        receptions: Receptions,
        metrics: Metrics,
        peer: Callable[[grpc.ServicerContext], str],
    ) -> None:
        self._health = Health(services, metrics, peer)
        self._reflection = Reflection([*services, HEALTH])
        receptions.add(self._health.reception)
        self._health.add_to(server)
        self._reflection.add_to(server)

    def set_serving(self, serving: bool) -> None:  # noqa: FBT001 - the state itself, the only argument
        """Sets the status of the server and of each service; without effect once stopping."""
        self._health.set(serving=serving)

    def announce_stop(self) -> None:
        """Sets NOT_SERVING for good."""
        self._health.announce_stop()

    def end_streams(self) -> None:
        """Ends the streams of health and reflection."""
        self._health.end_watches()
        self._reflection.end_sessions()

    def release(self) -> None:
        """Ends the threads of health and reflection, once the server has stopped."""
        self._health.release()
        self._reflection.release()
