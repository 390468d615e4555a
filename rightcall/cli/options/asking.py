"""Whom a command asks: a server, or definitions without one."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

import rich_click as click
from click import get_current_context

from rightcall.cli.command import one_of, option
from rightcall.cli.options.connection import connection_options, told
from rightcall.client.blocking import Client
from rightcall.client.channel import DEFAULT_TARGET

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from rightcall.programs.local import LocalClient

    Decorated = Callable[..., Any]
    Asked = AbstractContextManager[Client | LocalClient]


def server_options(timeout: float) -> Callable[[Decorated], Decorated]:
    """The options that say whom to ask, passed to the command as ``asked``: a client to be entered.

    Args:
        timeout: seconds that a server has to answer, where nothing else is said.
    """
    options = (
        option("--target", metavar="HOST:PORT", show_default=DEFAULT_TARGET, help="The server to ask."),
        option("--definitions", metavar="PATH", help="Ask these definitions, without any server."),
        option(
            "--timeout",
            type=click.FloatRange(min=0, min_open=True),
            default=timeout,
            help="Seconds that the server has to answer.",
        ),
        connection_options,
    )

    def decorate(function: Decorated) -> Decorated:
        @wraps(function)
        def asking(
            *,
            target: str | None,
            definitions: str | None,
            timeout: float,
            connection: dict[str, Any],
            **params: object,
        ) -> object:
            chosen = one_of(get_current_context(), "target", "definitions")
            asked = _local(definitions) if chosen == "definitions" and definitions else None
            return function(asked=asked or _client(target, timeout, connection), **params)

        decorated: Decorated = asking
        for add in reversed(options):
            decorated = add(decorated)
        return decorated

    return decorate


def _local(definitions: str) -> Asked:
    # Asking a server needs nothing of what this imports, and is twice as fast without.
    from rightcall.programs.local import LocalClient  # noqa: PLC0415 - only who asks a server needs the client

    return LocalClient(definitions)


def _client(target: str | None, timeout: float, connection: dict[str, Any]) -> Asked:
    try:
        return Client(target or DEFAULT_TARGET, timeout=timeout, **connection)
    except (OSError, ValueError) as error:
        raise told(error) from error
