"""The options that say by what, and by how many processes, calls are answered."""

from __future__ import annotations

import gc
import sys
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple

import rich_click as click
from click import get_current_context

from pdp.app import Server
from pdp.current import CurrentSnapshots
from pdp.errors import ListenError, TransportError
from pdp.native.choice import Transport
from pdp.workers.cores import available_cores
from pdp.workers.sharing import SharedSnapshots
from rightcall import worker
from rightcall.cli.command import option

if TYPE_CHECKING:
    from collections.abc import Callable

    from pdp.metrics import Metrics
    from pdp.settings import ServerSettings
    from pdp.tracing import ServerTracing

    Decorated = Callable[..., Any]

_AUTO = "auto"
_SWITCH_SECONDS = 0.001
"""A thread that is busy for long lets the one that answers calls in after so long; Python itself waits for 5 ms."""


class Processes(NamedTuple):
    """By what calls are answered.

    Attributes:
        transport: what speaks gRPC.
        workers: how many processes answer.
        command: runs one of several.
        tracing: traces requests; None: nobody does.
    """

    transport: Transport
    workers: int
    command: tuple[str, ...]
    tracing: ServerTracing | None = None

    def snapshots(self, source: str) -> CurrentSnapshots:
        """What such processes answer from; empty yet."""
        return SharedSnapshots(source) if self.workers > 1 else CurrentSnapshots(source)

    def server(self, settings: ServerSettings, current: CurrentSnapshots, metrics: Metrics, **rest: Any) -> Server:
        """A server of such processes; ``rest`` is as of ``Server``.

        Raises:
            click.UsageError: they cannot do what is asked for.
        """
        try:
            return Server(
                settings,
                current,
                metrics,
                transport=self.transport,
                workers=self.workers,
                worker_command=self.command,
                tracing=self.tracing,
                **rest,
            )
        except (ListenError, TransportError) as error:
            raise click.UsageError(f"{error}.") from error


class _Workers(click.ParamType[int]):
    """A number, or auto."""

    name = "workers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number that it stands for."""
        if value == _AUTO:
            return available_cores()
        return click.IntRange(min=1).convert(value, param, ctx)


def process_options(function: Decorated) -> Decorated:
    """``--transport`` and ``--workers``, passed to the command together as ``processes``."""

    @wraps(function)
    def collected(*, transport: str, workers: int, **params: object) -> object:
        asked = get_current_context().params
        command = worker.command(str(asked["log_format"]), str(asked["log_level"]))
        return function(processes=Processes(Transport(transport), workers, command), **params)

    several = option(
        "--workers",
        type=_Workers(),
        default="1",
        show_default=True,
        metavar="NUMBER|auto",
        help="Processes that answer; auto: as many as there are cores for them. More than one: native alone.",
    )
    transport = option(
        "--transport",
        type=click.Choice([one.value for one in Transport]),
        default=Transport.AUTO.value,
        help="What speaks gRPC. auto: native where it is installed, enough for the other options, and out of others' "
        "reach; else grpcio.",
    )
    return transport(several(collected))


def settle() -> None:
    """Keeps the garbage collector and busy threads from the calls that come; once the rules are loaded."""
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(_SWITCH_SECONDS)
