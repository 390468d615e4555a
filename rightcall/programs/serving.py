"""The common part of serving definitions and serving from Redis: making the server, and the wait for a stop."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog

from pdp.app import Server
from pdp.errors import ListenError, TransportError
from rightcall.programs.exits import ExitCode, Failure
from rightcall.programs.stopping import Stopping

if TYPE_CHECKING:
    from collections.abc import Callable

    from pdp.decision_log.log import DecisionLog
    from pdp.metrics.registry import Metrics
    from pdp.settings import ServerSettings, Transport
    from pdp.snapshots.current import CurrentSnapshots
    from pdp.tracing import ServerTracing

    OpenLog = Callable[[Metrics], DecisionLog | None]

_log = structlog.get_logger()

_SWITCH_SECONDS = 0.001
"""Switch interval of threads: a busy one yields to the deciding one after this time; Python's default is 5 ms."""


class Serving(NamedTuple):
    """How calls are served.

    Attributes:
        transport: the gRPC transport.
        tracing: traces requests; None: no tracing.
    """

    transport: Transport
    tracing: ServerTracing | None = None

    def server(self, settings: ServerSettings, current: CurrentSnapshots, metrics: Metrics, **rest: Any) -> Server:
        """A server; ``rest`` is as of ``Server``.

        Raises:
            Failure: the options are impossible.
        """
        try:
            return Server(settings, current, metrics, transport=self.transport, tracing=self.tracing, **rest)
        except (ListenError, TransportError) as error:
            raise Failure(f"{error}.", ExitCode.USAGE) from error


def serve_until_stopped(server: Server, source: str, follow: Callable[[], None]) -> None:
    """Serves until a signal asks for a stop.

    Args:
        server: has not been started.
        source: the name of the source in messages.
        follow: returns when what can be had at once is loaded, and the source is followed.

    Raises:
        Failure: the server cannot listen.
    """
    stopping = Stopping()
    try:
        with server:
            _log.info("following", source=source)
            follow()
            _tune_interpreter()
            stopping.wait()
    except ListenError as error:
        raise Failure(str(error), ExitCode.USAGE) from error


def _tune_interpreter() -> None:
    """Keeps the garbage collector and busy threads from the calls that come; once the rules are loaded."""
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(_SWITCH_SECONDS)
