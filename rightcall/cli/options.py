"""Options that more than one command has."""

from __future__ import annotations

import os
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from loader.errors import SourceError
from loader.sources import RECHECK_SECONDS, open_source
from pdp.rules.keys import DEFAULT_PREFIX, without_credentials
from rightcall import logs
from rightcall.cli.command import option
from rightcall.connect import RedisUrlError, open_redis

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

    from loader.sources import Source

    Decorated = Callable[..., Any]

SHORTEST_SECRET = 16
"""Bytes."""
_SECRET_VARIABLE = "RIGHTCALL_SECRET_KEY"  # noqa: S105 - the name of a variable


def log_options(function: Decorated) -> Decorated:
    """``--log-format`` and ``--log-level``, put into effect before the command runs."""

    @wraps(function)
    def configured(*, log_format: str, log_level: str, **params: object) -> object:
        logs.configure(log_format, log_level)
        return function(**params)

    level = option("--log-level", type=click.Choice(logs.LEVELS), default="info", help="The least that is logged.")
    log_format = option(
        "--log-format",
        type=click.Choice(logs.FORMATS),
        default="human",
        help="Log lines for people, or one JSON object a line.",
    )
    return log_format(level(configured))


def secret_option(function: Decorated) -> Decorated:
    """``--secret-key-file``, passed to the command as ``secret``: the key itself, or None."""
    return option(
        "--secret-key-file",
        "secret",
        type=click.Path(dir_okay=False, path_type=Path),
        callback=_read_secret,
        help=(
            "File with the deployment's secret key, at least 16 bytes: passwords are hashed "
            "and rules are signed with it. "
            f"Or put the key itself into the variable {_SECRET_VARIABLE}; it is never an option's value."
        ),
    )(function)


def password_override_option(function: Decorated) -> Decorated:
    """``--password-override``."""
    return option(
        "--password-override",
        type=click.Choice(["all", "user"]),
        default="all",
        help=(
            "Where a user's own password replaces a permission's: "
            "in every stage, or in the stage USER alone, as Wazo's code has it."
        ),
    )(function)


def redis_prefix_option(function: Decorated) -> Decorated:
    """``--redis-prefix``."""
    return option("--redis-prefix", default=DEFAULT_PREFIX, help="Start of every key in Redis.")(function)


def opened_source(url: str, recheck: float | None) -> Source:
    """The source that a URL names.

    Raises:
        UsageError: there is no such kind of source.
    """
    try:
        return open_source(url, recheck=RECHECK_SECONDS if recheck is None else recheck)
    except SourceError as error:
        raise click.UsageError(str(error)) from error


def opened_redis(url: str) -> tuple[Redis, str]:
    """A client for a Redis URL, and the name of that Redis as people are told: without credentials.

    Raises:
        UsageError: the URL cannot be read.
    """
    try:
        client = open_redis(url)
    except RedisUrlError as error:
        raise click.UsageError(str(error)) from error
    return client, without_credentials(url)


def _read_secret(ctx: click.Context, param: click.Parameter, path: Path | None) -> bytes | None:
    value = os.environ.get(_SECRET_VARIABLE, "")
    if path is not None and value:
        raise click.UsageError(f"--secret-key-file and {_SECRET_VARIABLE} exclude each other; give one of them.", ctx)
    if path is None:
        return _checked(value.encode("utf-8", "surrogateescape"), _SECRET_VARIABLE, ctx) if value else None
    try:
        return _checked(path.read_bytes().strip(), str(path), ctx)
    except OSError as error:
        raise click.BadParameter(f"'{path}' cannot be read: {error.strerror}.", ctx, param) from error


def _checked(secret: bytes, origin: str, ctx: click.Context) -> bytes:
    if len(secret) < SHORTEST_SECRET:
        raise click.UsageError(
            f"the secret key in {origin} has {len(secret)} bytes; give at least {SHORTEST_SECRET}, "
            "as of: openssl rand -hex 32",
            ctx,
        )
    return secret
