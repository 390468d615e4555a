"""The options of the transport that answers calls."""

from __future__ import annotations

from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Any

import rich_click as click
import structlog

from pdp.runtime.open_files import raise_open_files
from pdp.settings import Transport
from pdp.transports.choice import core_is_built
from rightcall.cli.command import option
from rightcall.programs.serving import Serving

if TYPE_CHECKING:
    from collections.abc import Callable

    from pdp.settings import ServerSettings

    Decorated = Callable[..., Any]

_log = structlog.get_logger()

_NATIVE = "native"
"""A transport of release 0.1, in place of which AUTO serves."""
_AUTO = "auto"


class _Transports(click.Choice[str]):
    """The transports, and the one that has gone."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name of the transport."""
        return _NATIVE if value == _NATIVE else super().convert(value, param, ctx)


class _Workers(click.ParamType[int]):
    """A number, or auto, which is 0."""

    name = "workers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number that the option's value stands for."""
        return 0 if value == _AUTO else click.IntRange(min=1).convert(value, param, ctx)


def transport_options(function: Decorated) -> Decorated:
    """``--transport`` and ``--workers``, passed to the command together as ``serving``."""

    @wraps(function)
    def collected(*, settings: ServerSettings, transport: str, workers: int | None, **params: object) -> object:
        raise_open_files()
        if transport == _NATIVE:
            _log.warning("option_outdated", option="--transport native", advice="leave it out, and auto serves")
            transport = _AUTO
        serving = Serving(Transport(transport))
        if workers is not None:
            settings = _with_workers(settings, serving, workers)
        return function(settings=settings, serving=serving, **params)

    several = option(
        "--workers",
        type=_Workers(),
        metavar="NUMBER|auto",
        help="Outdated: one process answers, with --io-threads. More than one is taken as their number.",
    )
    transport = option(
        "--transport",
        type=_Transports([one.value for one in Transport]),
        default=_AUTO,
        help="What speaks gRPC. auto: core where it was built when this was installed, else grpcio.",
    )
    return transport(several(collected))


def _with_workers(settings: ServerSettings, serving: Serving, workers: int) -> ServerSettings:
    """Takes the number of processes of release 0.1 as the number of the core's threads, unless that is given."""
    if serving.transport is Transport.GRPCIO or not core_is_built():
        advice = "leave it out: grpcio serves from one process; the core uses more cores, and so do more replicas"
        _log.warning("option_outdated", option="--workers", advice=advice)
        return settings
    threads = settings.io_threads or (workers if workers > 1 else 0)
    advice = f"give --io-threads {threads} in its place" if threads else "leave it out: the core takes every core"
    _log.warning("option_outdated", option="--workers", advice=advice)
    return replace(settings, io_threads=threads)
