"""The target of a command's questions: a server, or definitions without a server."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from functools import wraps
from typing import TYPE_CHECKING, Any

import rich_click as click
from click import get_current_context

from rightcall.cli.command import one_of, option
from rightcall.cli.options.connection import connection_options, told
from rightcall.cli.options.rules import SOURCES, rules_options
from rightcall.client.blocking import Client
from rightcall.client.channel import DEFAULT_TARGET
from rightcall.programs.exits import ExitCode, Failure

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from pdp.rules.analysis.lookup import Lookup
    from rightcall.programs.local import LocalClient
    from rightcall.programs.sources import RulesOptions

    Decorated = Callable[..., Any]
    Asked = AbstractContextManager[Client | LocalClient]

EVERY = "any"
"""The value of ``--outcall`` that means each outcall, and none."""
_NO_REVISION = "Redis keeps the revisions; name it with --definitions redis://HOST:PORT/DB."

_TARGET = option("--target", metavar="HOST:PORT", show_default=DEFAULT_TARGET, help="The server to ask.")


def server_options(timeout: float) -> Callable[[Decorated], Decorated]:
    """The options of the target, passed to the command as ``asked``: a client to be entered.

    Args:
        timeout: default of the seconds that a server has to answer.
    """
    options = (
        _TARGET,
        option("--definitions", metavar=SOURCES, help="Ask these rules, without any server."),
        _timeout_option(timeout),
        connection_options,
        rules_options,
    )

    def decorate(function: Decorated) -> Decorated:
        @wraps(function)
        def asking(
            *,
            target: str | None,
            definitions: str | None,
            timeout: float,
            connection: dict[str, Any],
            reading: Callable[[], RulesOptions],
            revision: str = "",
            **params: object,
        ) -> object:
            chosen = one_of(get_current_context(), "target", "definitions")
            if chosen == "definitions" and definitions:
                local = _local(definitions, revision, reading())
                return function(asked=local, **_by_ids(local.lookup, params))
            if revision:
                raise click.UsageError(_NO_REVISION)
            return function(asked=_client(target, timeout, connection), **params)

        decorated: Decorated = asking
        for add in reversed(options):
            decorated = add(decorated)
        return decorated

    return decorate


def only_server_options(timeout: float) -> Callable[[Decorated], Decorated]:
    """The options of a server, for commands that only a server answers; passed to the command as ``asked``.

    Args:
        timeout: default of the seconds that the server has to answer.
    """

    def decorate(function: Decorated) -> Decorated:
        @wraps(function)
        def asking(*, target: str | None, timeout: float, connection: dict[str, Any], **params: object) -> object:
            return function(asked=_client(target, timeout, connection), **params)

        decorated: Decorated = asking
        for add in (connection_options, _timeout_option(timeout), _TARGET):
            decorated = add(decorated)
        return decorated

    return decorate


def group_option(function: Decorated) -> Decorated:
    """``--group``, for reports that definitions alone can answer."""
    return option("--group", default="", metavar="ID|NAME", help="The members of this group; with --definitions.")(
        function
    )


def locally(client: Client | LocalClient) -> LocalClient:
    """A client of definitions.

    Raises:
        UsageError: it is that of a server.
    """
    if isinstance(client, Client):
        raise click.UsageError(
            "--group, --pattern and --outcall any need --definitions: a path, or redis://… where a server's rules are."
        )
    return client


def revision_option(function: Decorated) -> Decorated:
    """``--revision``, for what ``server_options`` asks."""
    return option(
        "--revision",
        default="",
        metavar="REVISION",
        help="Ask this revision, of those that Redis keeps, instead of the current one; with --definitions redis://…",
    )(function)


def _local(definitions: str, revision: str, options: RulesOptions) -> LocalClient:
    # Asking a server needs nothing of what this imports, and is twice as fast without.
    from rightcall.programs.local import LocalClient  # noqa: PLC0415 - only who asks a server needs the client
    from rightcall.programs.published import at_revision, names_redis  # noqa: PLC0415 - only who asks Redis

    if revision:
        if not names_redis(definitions):
            raise click.UsageError(_NO_REVISION)
        definitions = at_revision(definitions, revision)
    return LocalClient(definitions, options)


def _by_ids(lookup: Lookup, params: dict[str, Any]) -> dict[str, Any]:
    """The options of a command with names of callers, outcalls and tenants replaced by ids.

    For a command with ``--allow-unknown`` unknown outcalls and tenants stay unchanged: the answer reports them.

    Raises:
        Failure: a name is unknown or ambiguous; the message has the candidates.
    """
    from pdp.rules.analysis.lookup import UnclearError, UnknownError  # noqa: PLC0415 - only on use

    found = dict(params)
    try:
        for key in {"caller", "forwarded_by"} & params.keys():
            found[key] = lookup.caller(params[key])
        with suppress(UnknownError) if "allow_unknown" in params else nullcontext():
            asker = found.get("forwarded_by") or found.get("caller") or ""
            tenant = lookup.chosen_tenant(found.get("tenant") or "", asker)
            if params.get("tenant") and tenant is not None:
                found["tenant"] = tenant.uuid
            if params.get("outcall") not in (None, "", EVERY) and tenant is not None:
                found["outcall"] = lookup.outcall(params["outcall"], tenant)
    except UnclearError as error:
        raise Failure(str(error), ExitCode.USAGE) from error
    return found


def _timeout_option(timeout: float) -> Callable[[Decorated], Decorated]:
    return option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        default=timeout,
        help="Seconds that the server has to answer.",
    )


def _client(target: str | None, timeout: float, connection: dict[str, Any]) -> Client:
    try:
        return Client(target or DEFAULT_TARGET, timeout=timeout, **connection)
    except (OSError, ValueError) as error:
        raise told(error) from error
