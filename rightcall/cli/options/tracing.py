"""The options of tracing. Dependencies are imported only on use."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, NamedTuple

import rich_click as click

from rightcall.cli.command import option
from rightcall.programs.exits import ExitCode, Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loader.cycle import Synchronizer
    from pdp.tracing import ServerTracing

    Decorated = Callable[..., Any]

_PANEL = "Tracing"
_PACKAGE = "opentelemetry"


class Traced(NamedTuple):
    """The tracers of a program; by default there are none.

    Attributes:
        server: traces requests; None: no tracing.
        synchronizer: makes a synchronizer that traces cycles; None: no tracing.
    """

    server: ServerTracing | None = None
    synchronizer: Callable[..., Synchronizer] | None = None


def tracing_options(service: str) -> Callable[[Decorated], Decorated]:
    """The options of tracing, passed to the command as ``traced``; spans are sent, and tracing closed, at the end.

    To stand below ``log_options``, so that the log exists first.

    Args:
        service: the program's name in traces.
    """

    def decorate(function: Decorated) -> Decorated:
        @wraps(function)
        def traced(*, tracing: bool, trace_endpoint: str, trace_ratio: float | None, **params: object) -> object:
            wanted = tracing or bool(trace_endpoint)
            with _opened(service, trace_endpoint, trace_ratio, wanted=wanted) as opened:
                return function(traced=opened, **params)

        decorated: Decorated = traced
        for add in reversed(_options()):
            decorated = add(decorated)
        return decorated

    return decorate


def _options() -> tuple[Callable[[Decorated], Decorated], ...]:
    return (
        option(
            "--tracing",
            is_flag=True,
            panel=_PANEL,
            help="Send traces to an OpenTelemetry collector; needs rightcall[tracing]. OTEL_… variables count then.",
        ),
        option(
            "--trace-endpoint",
            default="",
            metavar="URL",
            show_default="OTEL_EXPORTER_OTLP_ENDPOINT, else http://localhost:4317",
            panel=_PANEL,
            help="Where the collector is, for gRPC or what OTEL_EXPORTER_OTLP_PROTOCOL says; turns tracing on.",
        ),
        option(
            "--trace-ratio",
            type=click.FloatRange(min=0, max=1),
            metavar="SHARE",
            show_default="OTEL_TRACES_SAMPLER, else 1",
            panel=_PANEL,
            help="Share of the traces begun here that is sent; those that others began are sent as they decided.",
        ),
    )


@contextmanager
def _opened(service: str, endpoint: str, ratio: float | None, *, wanted: bool) -> Iterator[Traced]:
    """The tracers until the block ends; none without the options."""
    if not wanted:
        yield Traced()
        return
    try:
        from loader.tracing import TracedSynchronizer  # noqa: PLC0415 - dependencies may not be installed
        from pdp.tracing import ServerTracing  # noqa: PLC0415 - dependencies may not be installed
        from rightcall.programs.tracing import Tracing, TracingError  # noqa: PLC0415 - dependencies may not be installed
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != _PACKAGE:
            raise
        message = "tracing needs OpenTelemetry, which is not installed; run: pip install 'rightcall[tracing]'"
        raise Failure(message, ExitCode.USAGE) from error
    except ValueError as error:  # OpenTelemetry reads OTEL_PROPAGATORS at the import
        raise Failure(f"tracing cannot be set up: {error}; look at OTEL_PROPAGATORS", ExitCode.USAGE) from error
    try:
        opened = Tracing(service, endpoint=endpoint, ratio=ratio)
    except TracingError as error:
        raise Failure(str(error), ExitCode.USAGE) from error
    try:
        yield Traced(ServerTracing(opened.tracer), partial(TracedSynchronizer, opened.tracer))
    finally:
        opened.close()
