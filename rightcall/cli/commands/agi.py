"""``rightcall agi``: the FastAGI adapter."""

from __future__ import annotations

import signal
from functools import partial
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import rich_click as click
import structlog

from pdp.errors import ListenError
from pdp.runtime.open_files import raise_open_files
from rightcall.agi.server import AgiServer
from rightcall.agi.settings import LOOPBACK, AgiSettings, OnFailure, UnknownTenant
from rightcall.aio import Client
from rightcall.cli.command import command, option
from rightcall.cli.options.common import log_options
from rightcall.cli.options.connection import connection_options, told
from rightcall.cli.options.emergency import emergency_options
from rightcall.client.channel import DEFAULT_TARGET, credentials
from rightcall.programs.exits import ExitCode, Failure
from rightcall.programs.stopping import Stopping

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network
    from types import FrameType

_log = structlog.get_logger()

_DEFAULTS = AgiSettings()


def _networks(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(map(ip_network, values))
    except ValueError as error:
        raise click.BadParameter(f"{error}; write for instance 192.0.2.10 or 192.0.2.0/24.", ctx, param) from error


def _word(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """Rejects a value that cannot be one word of a command to Asterisk."""
    if not value or not all(char.isascii() and (char.isalnum() or char in "_-/") for char in value):
        raise click.BadParameter("write letters, digits, '_', '-' and '/' alone.", ctx, param)
    return value


@command("rightcall agi --target pdp.example.org:50051", "rightcall agi --listen :4573 --allow 192.0.2.10")
@option("--listen", default=_DEFAULTS.listen, metavar="HOST:PORT", help="Where Asterisk connects.")
@option(
    "--reuse-port",
    is_flag=True,
    help="Let several adapters listen on the same address, so that one can be replaced while the others answer.",
)
@option(
    "--allow",
    multiple=True,
    callback=_networks,
    metavar="NETWORK",
    show_default="this machine alone",
    help="Network that Asterisk may connect from; several may be given.",
)
@option("--target", default=DEFAULT_TARGET, metavar="HOST:PORT", help="The server to ask.")
@option(
    "--deadline",
    type=click.FloatRange(min=0, min_open=True),
    default=_DEFAULTS.deadline,
    metavar="SECONDS",
    help="Time that the server has for an answer.",
)
@option(
    "--asterisk-deadline",
    type=click.FloatRange(min=0, min_open=True),
    default=_DEFAULTS.asterisk_deadline,
    metavar="SECONDS",
    help="Time that Asterisk has for each of its replies; the dialogue ends after that.",
)
@option(
    "--on-failure",
    type=click.Choice([mode.value for mode in OnFailure]),
    default=_DEFAULTS.on_failure.value,
    help=(
        "What happens to a call that the server has not decided. internal: it is allowed if it leaves through no "
        "outcall; closed: it is denied; open: it is allowed."
    ),
)
@option(
    "--unknown-tenant",
    type=click.Choice([mode.value for mode in UnknownTenant]),
    default=_DEFAULTS.unknown_tenant.value,
    help="What happens to a call of a tenant that the server does not know.",
)
@option(
    "--attempts",
    type=click.IntRange(min=1),
    default=_DEFAULTS.attempts,
    metavar="NUMBER",
    help="PINs that a caller may try on one call; the server may end it earlier.",
)
@option(
    "--digit-seconds",
    type=click.FloatRange(min=0.5),
    default=_DEFAULTS.digit_seconds,
    metavar="SECONDS",
    help="Silence after which a PIN counts as dialled.",
)
@option(
    "--hash-in-pin", is_flag=True, help="PINs may hold '#': it is a key like any other, and silence alone ends a PIN."
)
@option("--prompt", default=_DEFAULTS.prompt, callback=_word, metavar="SOUND", help="Asks for a PIN.")
@option(
    "--retry-prompt",
    default=_DEFAULTS.retry_prompt,
    callback=_word,
    metavar="SOUND",
    help="Says that it was wrong, and asks again.",
)
@option(
    "--variable-prefix",
    default=_DEFAULTS.variable_prefix,
    callback=_word,
    help="Start of the names of the channel variables; XIVO_ on older platforms.",
)
@option(
    "--drain-seconds",
    type=click.FloatRange(min=0),
    default=_DEFAULTS.drain_seconds,
    metavar="SECONDS",
    help="Time that conversations have to end when the adapter stops.",
)
@option(
    "--max-dialogues",
    type=click.IntRange(min=1),
    default=_DEFAULTS.max_dialogues,
    metavar="NUMBER",
    help="Dialogues with Asterisk that are held at the same time.",
)
@option(
    "--max-dialogues-per-peer",
    type=click.IntRange(min=1),
    default=_DEFAULTS.max_dialogues_per_peer,
    metavar="NUMBER",
    help="Of them, those of one address.",
)
@option(
    "--http",
    default="127.0.0.1:9466",
    show_default=True,
    metavar="HOST:PORT",
    help="Address of metrics and health; port 0: one that is free; none: do without.",
)
@emergency_options
@connection_options
@log_options
def agi(
    *,
    target: str,
    connection: dict[str, Any],
    allow: tuple[IPv4Network | IPv6Network, ...],
    on_failure: str,
    unknown_tenant: str,
    http: str,
    **settings: Any,
) -> None:
    """Answers Asterisk over FastAGI, in place of Wazo's user_set_call_rights.

    It asks a server and sets WAZO_AUTHORIZATION; when a PIN is needed, it asks the caller for it. SIGTERM and
    Ctrl-C end it in order: callers who are dialling a PIN may finish.
    """
    chosen = AgiSettings(
        allow=allow or LOOPBACK,
        on_failure=OnFailure(on_failure),
        unknown_tenant=UnknownTenant(unknown_tenant),
        http="" if http == "none" else http,
        **settings,
    )
    _check(connection)
    raise_open_files()
    stopping = Stopping()
    signal.signal(signal.SIGHUP, _note_hangup)
    try:
        with AgiServer(chosen, partial(Client, target, **connection), target) as server:
            _log.info(
                "agi_started",
                agi=server.address,
                http=server.http,
                target=target,
                on_failure=on_failure,
                emergency=chosen.emergency.numbers,
            )
            if not chosen.emergency.numbers:
                _log.warning("agi_no_emergency_numbers", advice="name them with --emergency, such as 112,911")
            stopping.wait()
            _log.info("agi_stopping", drain_seconds=chosen.drain_seconds)
    except ListenError as error:
        raise Failure(str(error), ExitCode.USAGE) from error
    _log.info("agi_stopped")


def _note_hangup(number: int, frame: FrameType | None) -> None:
    """Ignores SIGHUP: a closed terminal, or a request for other settings, ends no calls."""
    del number, frame
    _log.info("agi_nothing_to_reload", advice="token files are read each time; for all else start another adapter")


def _check(connection: dict[str, Any]) -> None:
    """Raises a usage error for files that cannot be used: the client itself is made on another thread."""
    try:
        credentials(**connection)
    except (OSError, ValueError) as error:
        raise told(error) from error
