"""The options of the transport and the number of processes that answer calls."""

from __future__ import annotations

from contextlib import ExitStack
from functools import wraps
from typing import TYPE_CHECKING, Any

import rich_click as click
from click import get_current_context

from pdp.runtime.open_files import raise_open_files
from pdp.settings import Transport
from pdp.transports.choice import fitting_workers
from pdp.workers.processes import Recruits
from rightcall.cli.command import option
from rightcall.programs import worker
from rightcall.programs.processes import Processes

if TYPE_CHECKING:
    from collections.abc import Callable

    from pdp.settings import ServerSettings

    Decorated = Callable[..., Any]

_AUTO = "auto"


class _Workers(click.ParamType[int]):
    """A number, or auto, which is 0."""

    name = "workers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number that the option's value stands for."""
        return 0 if value == _AUTO else click.IntRange(min=1).convert(value, param, ctx)


def process_options(function: Decorated) -> Decorated:
    """``--transport`` and ``--workers``, passed to the command together as ``processes``.

    The workers are started before the command: Python and the imports take as long in each worker as here.
    """

    @wraps(function)
    def collected(*, settings: ServerSettings, transport: str, workers: int, **params: object) -> object:
        asked = get_current_context().params
        count = workers or fitting_workers(
            Transport(transport),
            settings,
            decision_log=bool(asked["decision_log"]),
            tracing=bool(asked["tracing"] or asked["trace_endpoint"]),
        )
        command = worker.command(str(asked["log_format"]), str(asked["log_level"]))
        with ExitStack() as ended:
            raise_open_files()
            recruits = ended.enter_context(Recruits(count, command)) if count > 1 else None
            processes = Processes(Transport(transport), count, recruits)
            return function(settings=settings, processes=processes, **params)

    several = option(
        "--workers",
        type=_Workers(),
        default=_AUTO,
        show_default=True,
        metavar="NUMBER|auto",
        help="Processes that answer; more than one: native alone, for the core has --io-threads. auto: one for each "
        "core of the machine where native serves, otherwise one.",
    )
    transport = option(
        "--transport",
        type=click.Choice([one.value for one in Transport]),
        default=Transport.AUTO.value,
        help="What speaks gRPC. auto: core where it was built when this was installed; else native where that is "
        "installed, enough for the other options, and out of others' reach; else grpcio.",
    )
    return transport(several(collected))
