"""By what, and by how many processes, requests are answered."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from rightcall.programs.exits import ExitCode, Failure

if TYPE_CHECKING:
    from pdp.app import Server
    from pdp.metrics.registry import Metrics
    from pdp.settings import ServerSettings, Transport
    from pdp.snapshots.current import CurrentSnapshots
    from pdp.tracing import ServerTracing
    from pdp.workers.processes import Recruits

_SWITCH_SECONDS = 0.001
"""A thread that is busy for long lets the one that answers calls in after so long; Python itself waits for 5 ms."""


class Processes(NamedTuple):
    """By what calls are answered.

    Attributes:
        transport: what speaks gRPC.
        workers: how many processes answer.
        recruits: those of several; they have been started.
        tracing: traces requests; None: nobody does.
    """

    transport: Transport
    workers: int
    recruits: Recruits | None = None
    tracing: ServerTracing | None = None

    def snapshots(self, source: str) -> CurrentSnapshots:
        """What such processes answer from; empty yet."""
        from pdp.snapshots.current import CurrentSnapshots  # noqa: PLC0415 - the recruits come up meanwhile
        from pdp.workers.shared_snapshots import SharedSnapshots  # noqa: PLC0415 - likewise

        return SharedSnapshots(source) if self.workers > 1 else CurrentSnapshots(source)

    def server(self, settings: ServerSettings, current: CurrentSnapshots, metrics: Metrics, **rest: Any) -> Server:
        """A server of such processes; ``rest`` is as of ``Server``.

        Raises:
            Failure: they cannot do what is asked for.
        """
        from pdp.app import Server  # noqa: PLC0415 - likewise, and rules are read
        from pdp.errors import ListenError, TransportError  # noqa: PLC0415 - likewise

        try:
            return Server(
                settings,
                current,
                metrics,
                transport=self.transport,
                workers=self.workers,
                recruits=self.recruits,
                tracing=self.tracing,
                **rest,
            )
        except (ListenError, TransportError) as error:
            raise Failure(f"{error}.", ExitCode.USAGE) from error


def tune_interpreter() -> None:
    """Keeps the garbage collector and busy threads from the calls that come; once the rules are loaded."""
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(_SWITCH_SECONDS)
