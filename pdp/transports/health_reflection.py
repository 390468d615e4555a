"""The gRPC services that every server has: health checking and reflection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.transports.health import HEALTH, Health
from pdp.transports.reflection import Reflection

if TYPE_CHECKING:
    from collections.abc import Sequence

    import grpc

    from pdp.metrics.registry import Metrics
    from pdp.transports.reception import Receptions


class StandardServices:
    """Health and reflection of a server.

    Args:
        server: where they are served.
        services: the full names of the services that they tell of.
        receptions: looks after requests that do not come.
        metrics: where rejected requests are counted.
    """

    def __init__(self, server: grpc.Server, services: Sequence[str], receptions: Receptions, metrics: Metrics) -> None:
        self._health = Health(services, metrics)
        self._reflection = Reflection([*services, HEALTH])
        receptions.add(self._health.reception)
        self._health.add_to(server)
        self._reflection.add_to(server)

    def set_serving(self, serving: bool) -> None:  # noqa: FBT001 - the state itself, the only argument
        """The server as a whole, and each service, answers calls or does not; without effect once it is stopping."""
        self._health.set(serving=serving)

    def announce_stop(self) -> None:
        """From now on NOT_SERVING, whatever happens."""
        self._health.announce_stop()

    def end_streams(self) -> None:
        """Ends the streams that nobody else would end."""
        self._health.end_watches()
        self._reflection.end_sessions()

    def release(self) -> None:
        """Lets go of what they hold, once the server has stopped."""
        self._health.release()
        self._reflection.release()
