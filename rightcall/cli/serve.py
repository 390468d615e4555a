"""``rightcall serve``: the policy decision point."""

from __future__ import annotations

from dataclasses import fields
from functools import wraps
from typing import TYPE_CHECKING, Any

import rich_click as click
import structlog
from click.core import ParameterSource

from pdp.app import Server, ServerSettings
from pdp.current import CurrentSnapshots
from pdp.errors import ListenError
from pdp.follower import DEFAULT_RECHECK, Follower
from pdp.metrics import Metrics
from pdp.rules.model import PasswordOverride
from pdp.version import version
from rightcall.cli.command import command, one_of, option
from rightcall.cli.exits import ExitCode, Failure
from rightcall.cli.local import Local
from rightcall.cli.options import (
    log_options,
    opened_redis,
    password_override_option,
    redis_prefix_option,
    secret_option,
)
from rightcall.cli.reports import ReportLog
from rightcall.cli.stopping import Stopping

if TYPE_CHECKING:
    from collections.abc import Callable

    Decorated = Callable[..., Any]

_log = structlog.get_logger()

_SETTINGS = {
    "listen": ("HOST:PORT", "Address of the gRPC API; port 0: one that is free."),
    "http": ("HOST:PORT", "Address of /metrics, /healthz and /readyz; port 0: one that is free; none: do without."),
    "threads": ("NUMBER", "Calls that are worked on at the same time."),
    "max_message_size": ("BYTES", "Size of the largest request."),
    "keepalive_time": ("SECONDS", "Silence after which a connection is asked whether it lives."),
    "keepalive_timeout": ("SECONDS", "Time that it has to answer."),
    "max_connection_idle": ("SECONDS", "Time without a call after which a connection is closed; 0: never."),
    "max_connection_age": (
        "SECONDS",
        "Time after which a connection is closed, so that new replicas get traffic; 0: never.",
    ),
    "max_connection_age_grace": ("SECONDS", "Time that its calls in flight have to end then; 0: as long as they take."),
    "max_concurrent_streams": ("NUMBER", "Calls in flight on one connection; 0: no limit."),
    "drain_seconds": ("SECONDS", "Time that the calls in flight have to end when the server stops."),
    "drain_delay": ("SECONDS", "Time for which a stopping server still takes calls, so that load balancers notice."),
}


def _settings_options(function: Decorated) -> Decorated:
    """An option for each of ``ServerSettings``, passed to the command together as ``settings``."""

    @wraps(function)
    def collected(**params: object) -> object:
        given = {name: params.pop(name) for name in _SETTINGS}
        if given["http"] == "none":  # an empty variable counts as one that is not set
            given["http"] = ""
        return function(settings=ServerSettings(**given), **params)  # type: ignore[arg-type] # click checked them

    defaults = ServerSettings()
    decorated: Decorated = collected
    for field in reversed(fields(ServerSettings)):
        metavar, text = _SETTINGS[field.name]
        default = getattr(defaults, field.name)
        kind = {int: click.IntRange(min=0), float: click.FloatRange(min=0)}.get(type(default))
        name = "--" + field.name.replace("_", "-")
        decorated = option(
            name,
            type=kind,
            default=default,
            show_default=True,
            metavar=metavar,
            help=text,
            panel="Addresses and limits",
        )(decorated)
    return decorated


@command(
    "rightcall serve --definitions company.yaml",
    "rightcall serve --redis redis://localhost:6379/0 --secret-key-file /etc/rightcall/key",
)
@option("--definitions", metavar="PATH", help="Serve the rules of this file or directory, and follow its changes.")
@option("--redis", metavar="URL", help="Serve the rules that a loader published here, and follow what it publishes.")
@_settings_options
@option(
    "--recheck",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    show_default="30 for definitions, 5 for Redis",
    help="Look for changes at least this often, even if nobody told of any.",
)
@redis_prefix_option
@secret_option
@password_override_option
@option(
    "--transport",
    type=click.Choice(["auto", "native", "grpcio"]),
    default="auto",
    help="What speaks gRPC; auto is grpcio in this release.",
)
@option("--workers", type=click.IntRange(min=1), default=1, help="Processes that answer; this release has one.")
@log_options
@click.pass_context
def serve(  # noqa: PLR0913 - each is an option
    ctx: click.Context,
    *,
    definitions: str | None,
    redis: str | None,
    settings: ServerSettings,
    recheck: float | None,
    redis_prefix: str,
    secret: bytes | None,
    password_override: str,
    transport: str,
    workers: int,
) -> None:
    """Answers over gRPC whether calls may be made.

    Rules come from --definitions, or from --redis, where a loader publishes them; one of the two is needed. SIGTERM and
    Ctrl-C end it in order: calls in flight get their answers.
    """
    if transport == "native":
        raise click.UsageError("--transport native is not in this release; use grpcio or auto.")
    if workers > 1:
        raise click.UsageError("--workers above 1 is not in this release; run more servers behind one name instead.")
    chosen = one_of(ctx, "definitions", "redis")
    if chosen == "definitions" and definitions:
        override = PasswordOverride(password_override)
        _serve_definitions(settings, Local(definitions, password_override=override, secret=secret, recheck=recheck))
    elif chosen == "redis" and redis:
        if ctx.get_parameter_source("password_override") is ParameterSource.COMMANDLINE:
            raise click.UsageError("--password-override belongs to --definitions; with --redis the loader has it.")
        _serve_redis(settings, redis, redis_prefix, secret, recheck)
    else:
        raise click.UsageError("Where do the rules come from? Give --definitions PATH or --redis URL.")


def _serve_definitions(settings: ServerSettings, local: Local) -> None:
    tell = ReportLog()
    report = local.load()
    tell(report)
    if report.errors and not local.current.ready:
        message = f"nothing to serve: every tenant of {local.current.source} is faulty; repair the faults shown above"
        raise Failure(message, ExitCode.FAULTY)
    _serve(settings, local.current, local.metrics, lambda: local.loader.start(tell), local.loader.stop)


def _serve_redis(settings: ServerSettings, url: str, prefix: str, secret: bytes | None, recheck: float | None) -> None:
    client, name = opened_redis(url)
    if secret is None:
        _log.warning("rules_unsigned", advice="whoever can write to Redis can change them; give --secret-key-file")
    current = CurrentSnapshots(name)
    metrics = Metrics(current, version())
    follower = Follower(
        client,
        current,
        metrics,
        prefix=prefix,
        secrets=(secret,) if secret else (),
        recheck=DEFAULT_RECHECK if recheck is None else recheck,
    )
    with client:
        _serve(settings, current, metrics, follower.start, follower.stop)


def _serve(
    settings: ServerSettings,
    current: CurrentSnapshots,
    metrics: Metrics,
    follow: Callable[[], None],
    unfollow: Callable[[], None],
) -> None:
    """Serves until a signal asks for a stop; rules are followed until the last call has its answer."""
    stopping = Stopping()
    try:
        with Server(settings, current, metrics):
            _log.info("following", source=current.source)
            follow()
            stopping.wait()
    except ListenError as error:
        raise Failure(str(error), ExitCode.USAGE) from error
    finally:
        unfollow()
