"""The transport and the processes that answer requests."""

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
"""Switch interval of threads: a busy one yields to the deciding one after this time; Python's default is 5 ms."""


class Processes(NamedTuple):
    """The processes that answer calls.

    Attributes:
        transport: the gRPC transport.
        workers: number of processes.
        recruits: the started processes, if several.
        tracing: traces requests; None: no tracing.
    """

    transport: Transport
    workers: int
    recruits: Recruits | None = None
    tracing: ServerTracing | None = None

    def snapshots(self, source: str) -> CurrentSnapshots:
        """The snapshots for these processes, still empty."""
        from pdp.snapshots.current import CurrentSnapshots  # noqa: PLC0415 - the recruits come up meanwhile
        from pdp.workers.shared_snapshots import SharedSnapshots  # noqa: PLC0415 - the recruits come up meanwhile

        return SharedSnapshots(source) if self.workers > 1 else CurrentSnapshots(source)

    def server(self, settings: ServerSettings, current: CurrentSnapshots, metrics: Metrics, **rest: Any) -> Server:
        """A server of these processes; ``rest`` is as of ``Server``.

        Raises:
            Failure: the options are impossible for these processes.
        """
        from pdp.app import Server  # noqa: PLC0415 - the recruits come up, and rules are read
        from pdp.errors import ListenError, TransportError  # noqa: PLC0415 - the recruits come up meanwhile

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
