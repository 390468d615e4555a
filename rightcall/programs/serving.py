"""The common part of serving definitions and serving from Redis: the wait for a stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from pdp.errors import ListenError
from rightcall.programs.exits import ExitCode, Failure
from rightcall.programs.processes import tune_interpreter
from rightcall.programs.stopping import Stopping

if TYPE_CHECKING:
    from collections.abc import Callable

    from pdp.app import Server
    from pdp.decision_log.log import DecisionLog
    from pdp.metrics.registry import Metrics

    OpenLog = Callable[[Metrics], DecisionLog | None]

_log = structlog.get_logger()


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
            tune_interpreter()
            stopping.wait()
    except ListenError as error:
        raise Failure(str(error), ExitCode.USAGE) from error
