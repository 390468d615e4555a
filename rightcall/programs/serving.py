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
    from collections.abc import Callable, Sequence

    from starlette.routing import Mount, Route

    from loader.faults import Fault
    from pdp.app import ServerParts
    from pdp.decision_log.log import DecisionLog
    from pdp.metrics.registry import Metrics
    from pdp.settings import ServerSettings, Transport
    from pdp.snapshots.current import CurrentSnapshots
    from pdp.tracing import ServerTracing
    from rightcall.programs.history import History

    OpenLog = Callable[[Metrics], DecisionLog | None]
    MakeConsole = Callable[[ServerParts, "Served"], Sequence[Route | Mount]]

_log = structlog.get_logger()

_SWITCH_SECONDS = 0.001
"""Switch interval of threads: a busy one yields to the deciding one after this time; Python's default is 5 ms."""
_FLEETING = 64
_FLEETING_SECONDS = 0.25
"""Decisions that pages show in so many seconds, where there is no decision log; of more, a sample."""


class Served(NamedTuple):
    """What a program knows of the rules that it serves, for the console.

    Attributes:
        history: their revisions.
        faults: gives the faults of their definitions; None: another program reads these.
    """

    history: History
    faults: Callable[[], Sequence[Fault]] | None = None


class Serving(NamedTuple):
    """How calls are served.

    Attributes:
        transport: the gRPC transport.
        tracing: traces requests; None: no tracing.
        console: makes the pages of the console; None: there is none.
    """

    transport: Transport
    tracing: ServerTracing | None = None
    console: MakeConsole | None = None

    def server(
        self,
        settings: ServerSettings,
        current: CurrentSnapshots,
        metrics: Metrics,
        *,
        served: Callable[[], Served],
        decision_log: DecisionLog | None,
        **rest: Any,
    ) -> Server:
        """A server.

        Args:
            settings, current, metrics, rest: as of ``Server``.
            served: gives what the console shows of the rules; called where there is a console.
            decision_log: records each decision; None: the console's pages alone show some.

        Raises:
            Failure: the options are impossible.
        """
        pages = None
        if self.console is not None:
            console, rules = self.console, served()
            decision_log = decision_log or _fleeting_log()

            def pages(parts: ServerParts) -> Sequence[Route | Mount]:
                return console(parts, rules)

        try:
            return Server(
                settings,
                current,
                metrics,
                transport=self.transport,
                tracing=self.tracing,
                decision_log=decision_log,
                pages=pages,
                **rest,
            )
        except (ListenError, TransportError) as error:
            raise Failure(f"{error}.", ExitCode.USAGE) from error


def _fleeting_log() -> DecisionLog:
    """A decision log for the console alone, which takes as many entries as pages can show, and drops the others."""
    from pdp.decision_log.log import DecisionLog, DecisionLogSettings  # noqa: PLC0415 - most servers keep none
    from pdp.decision_log.sinks import NullSink  # noqa: PLC0415 - likewise

    return DecisionLog(NullSink(), DecisionLogSettings(queue=_FLEETING, gather=_FLEETING_SECONDS), None)


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
