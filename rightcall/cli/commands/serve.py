"""``rightcall serve``: the policy decision point."""

from __future__ import annotations

import re
from dataclasses import fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click
from click.core import ParameterSource

from pdp.settings import Characters, ServerSettings, Unknown
from rightcall.cli.command import command, one_of, option
from rightcall.cli.options.common import (
    isolate_faults_option,
    log_options,
    password_override_option,
    scope_options,
    secret_option,
)
from rightcall.cli.options.decision_log import decision_log_options
from rightcall.cli.options.security import security_options
from rightcall.cli.options.tracing import tracing_options
from rightcall.cli.options.transport import transport_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from pdp.rules.publication.keys import Scope
    from rightcall.cli.options.tracing import Traced
    from rightcall.programs.serving import OpenLog, Serving

    Decorated = Callable[..., Any]

_SETTINGS = {
    "listen": ("HOST:PORT", "Address of the gRPC API, or unix:PATH; port 0: one that is free."),
    "listen_mode": (
        "OCTAL",
        "Permissions of the file of a Unix socket, as in 0660: who may write there may connect. Without it: by umask.",
    ),
    "http": ("HOST:PORT", "Address of metrics, health and AuthZEN; port 0: one that is free; none: do without."),
    "http_url": ("URL", "URL under which AuthZEN clients reach the HTTP port. Without it: the one that they used."),
    "http_max_connections": (
        "NUMBER",
        "Connections of the HTTP port, half of them from one address; beyond that the idle ones are closed.",
    ),
    "http_keep_alive": ("SECONDS", "Time that a connection of the HTTP port may rest between two requests."),
    "threads": ("NUMBER", "Calls that are worked on at the same time."),
    "io_threads": (
        "NUMBER",
        "With --transport core, threads that serve connections and decide plain calls; 0: one for each core.",
    ),
    "max_message_size": ("BYTES", "Size of the largest request; one about a single call may have 16 kB."),
    "message_timeout": ("SECONDS", "Time within which a call's message has to follow its headers."),
    "keepalive_time": ("SECONDS", "Silence after which a connection is asked whether it lives."),
    "keepalive_timeout": ("SECONDS", "Time that it has to answer."),
    "max_connection_idle": ("SECONDS", "Time without a call after which a connection is closed; 0: never."),
    "max_connection_age": (
        "SECONDS",
        "Time after which a connection is closed, so that new replicas get traffic; 0: never.",
    ),
    "max_connection_age_grace": ("SECONDS", "Time that its calls in flight have to end then; 0: as long as they take."),
    "max_concurrent_streams": (
        "NUMBER",
        "Calls in flight on one connection; further ones wait in the client. 0: no limit.",
    ),
    "max_connections": (
        "NUMBER",
        "Connections at the same time; further ones are closed at once; 0: as many as the system allows.",
    ),
    "max_waiting": (
        "NUMBER",
        "Calls that may wait for a thread; further ones are refused with RESOURCE_EXHAUSTED; 0: no limit.",
    ),
    "max_metadata_size": ("BYTES", "Size of one request's headers."),
    "drain_seconds": ("SECONDS", "Time that the calls in flight have to end when the server stops."),
    "max_calls": ("NUMBER", "Questions that one CheckCalls may hold."),
    "max_streams": ("NUMBER", "Streams of questions that are served at the same time; each has a thread."),
    "freshness_wait": ("SECONDS", "Time that a question may wait for the revision that it asks for; 0: none."),
    "challenge_seconds": ("SECONDS", "Time for which a challenge can be answered with a password."),
    "challenge_attempts": ("NUMBER", "Wrong passwords until a caller is locked out; 0: take no passwords at all."),
    "lockout_seconds": ("SECONDS", "Duration of the first lockout; each further one is twice as long, up to a day."),
    "pin_guesses": (
        "NUMBER",
        "Wrong passwords that are looked at in an hour for one permission, all callers together; 0: no limit.",
    ),
    "max_staleness": (
        "SECONDS",
        "Time without contact to the source of rules, or with edits unread, until /readyz fails; 0: it never does.",
    ),
    "emergency": (
        "NUMBERS",
        "Numbers that everybody may call, whatever the rules and the server's state, as in 112,911.",
    ),
    "extension_characters": (
        "any|dialable",
        "What an extension may hold where its tenant does not say how it dials; dialable: 0-9 * # + A-D.",
    ),
    "unknown_caller": (
        "wazo|deny",
        "Calls by a UUID that no user has: decide them as Wazo does, without the caller's stages, or deny them.",
    ),
    "unknown_outcall": (
        "wazo|deny",
        "Calls through an outcall that the tenant does not have: as Wazo does, without its stage, or deny them.",
    ),
    "drain_delay": ("SECONDS", "Time for which a stopping server still takes calls, so that load balancers notice."),
}


_NUMBER = re.compile(r"[0-9]{2,15}", re.ASCII)


def check_emergency_numbers(text: object) -> None:
    """Rejects emergency numbers that cannot be dialled.

    Raises:
        UsageError: one of the numbers cannot be dialled.
    """
    for number in str(text).split(",") if text else ():
        if not _NUMBER.fullmatch(number):
            raise click.UsageError(f"--emergency: {number!r} is no number; write digits, with commas between numbers.")


_TYPES: dict[type, click.ParamType[Any]] = {
    int: click.IntRange(min=0),
    float: click.FloatRange(min=0),
    Unknown: click.Choice([choice.value for choice in Unknown]),
    Characters: click.Choice([choice.value for choice in Characters]),
}
_RULES = "Where the rules are"
_DECISIONS = {"emergency", "extension_characters", "unknown_caller", "unknown_outcall"}


def _settings_options(function: Decorated) -> Decorated:
    """An option for each of ``ServerSettings``, passed to the command together as ``settings``."""

    @wraps(function)
    def collected(**params: object) -> object:
        given = {name: params.pop(name) for name in _SETTINGS}
        check_emergency_numbers(given["emergency"])
        if given["listen_mode"] and not re.fullmatch("0?[0-7]{3}", str(given["listen_mode"])):
            raise click.UsageError(f"--listen-mode {given['listen_mode']!r} is no octal mode; write for instance 0660.")
        if given["http"] == "none":  # an empty variable counts as one that is not set
            given["http"] = ""
        return function(settings=ServerSettings(**given), **params)  # type: ignore[arg-type] # click checked them

    defaults = ServerSettings()
    decorated: Decorated = collected
    for field in reversed([field for field in fields(ServerSettings) if field.name != "security"]):
        metavar, text = _SETTINGS[field.name]
        default = getattr(defaults, field.name)
        kind = _TYPES.get(type(default))
        default = default.value if isinstance(default, Unknown | Characters) else default
        name = "--" + field.name.replace("_", "-")
        decorated = option(
            name,
            type=kind,
            default=default,
            show_default=True,
            metavar=metavar,
            help=text,
            panel="Decisions" if field.name in _DECISIONS else "Addresses and limits",
        )(decorated)
    return decorated


@command(
    "rightcall serve --definitions company.yaml",
    "rightcall serve --redis redis://localhost:6379/0 --secret-key-file /etc/rightcall/key",
    options_first=False,
)
@option(
    "--definitions",
    metavar="PATH",
    help="Serve the rules of this file or directory, and follow its changes.",
    panel=_RULES,
)
@option(
    "--redis",
    metavar="URL",
    help="Serve the rules that a loader published here, and follow what it publishes.",
    panel=_RULES,
)
@_settings_options
@security_options
@option(
    "--recheck",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    show_default="30 for definitions, 5 for Redis",
    help="Look for changes at least this often, even if nobody told of any.",
)
@scope_options
@decision_log_options
@option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help=(
        "Keep the last good rules in this directory, and start from them where Redis is away or rules have faults. "
        "Each server needs one of its own."
    ),
)
@option(
    "--require-manifest",
    is_flag=True,
    help=(
        "With --redis: refuse rules without the loader's signed list of tenants, which loaders of release 0.1 do not "
        "make. Turn it on when all loaders are upgraded."
    ),
)
@option(
    "--max-manifest-age",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help=(
        "With --redis: a server that starts takes no list of tenants that was signed longer ago; a loader that leads "
        "signs it again every minute. 0: its age does not matter."
    ),
)
@option(
    "--console",
    is_flag=True,
    help="Show rules and decisions in a browser, under /console on the HTTP port, to those who may see them.",
)
@isolate_faults_option
@secret_option
@password_override_option
@log_options
@transport_options
@tracing_options("rightcall-server")
@click.pass_context
def serve(  # noqa: PLR0913 - each is an option
    ctx: click.Context,
    *,
    definitions: str | None,
    redis: str | None,
    settings: ServerSettings,
    recheck: float | None,
    scope: Scope,
    require_manifest: bool,
    max_manifest_age: float,
    secrets: tuple[bytes, ...],
    state_dir: Path | None,
    isolate_faults: bool,
    decision_log: OpenLog,
    password_override: str,
    serving: Serving,
    traced: Traced,
    console: bool,
) -> None:
    """Answers over gRPC whether calls may be made.

    Rules come from --definitions, or from --redis, where a loader publishes them; one of the two is needed. SIGTERM and
    Ctrl-C end it in order: calls in flight get their answers.
    """
    serving = serving._replace(tracing=traced.server)
    if console:
        if not settings.http:
            raise click.UsageError("--console needs the HTTP port; give --http HOST:PORT.")
        from rightcall.console.mount import mounted  # noqa: PLC0415 - templates, which most servers need not

        serving = serving._replace(console=mounted)
    chosen = one_of(ctx, "definitions", "redis")
    if chosen == "definitions" and definitions:
        from rightcall.programs.server_embedded import (  # noqa: PLC0415 - a loader, which Redis needs not
            serve_definitions,
        )

        serve_definitions(
            settings,
            definitions,
            serving,
            password_override=password_override,
            secret=secrets[0] if secrets else None,
            recheck=recheck,
            synchronizer=traced.synchronizer,
            decision_log=decision_log,
            state_dir=state_dir,
            isolate_faults=isolate_faults,
        )
    elif chosen == "redis" and redis:
        if ctx.get_parameter_source("password_override") is ParameterSource.COMMANDLINE:
            raise click.UsageError("--password-override belongs to --definitions; with --redis the loader has it.")
        if isolate_faults:
            raise click.UsageError("--isolate-faults belongs to --definitions; with --redis the loader has it.")
        from rightcall.programs.server_redis import Trust, serve_redis  # noqa: PLC0415 - a client, which definitions need not

        serve_redis(
            settings,
            redis,
            serving,
            trust=Trust(scope, secrets, require_manifest=require_manifest, most_age=max_manifest_age),
            recheck=recheck,
            state_dir=state_dir,
            decision_log=decision_log,
        )
    else:
        raise click.UsageError("Where do the rules come from? Give --definitions PATH or --redis URL.")
