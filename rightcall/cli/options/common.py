"""Options that more than one command has."""

from __future__ import annotations

import os
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from pdp.rules.publication.keys import DEFAULT_PREFIX, Scope
from pdp.runtime.files import read_regular
from rightcall.cli.command import option

if TYPE_CHECKING:
    from collections.abc import Callable

    Decorated = Callable[..., Any]

SHORTEST_SECRET = 16
"""Bytes."""
_SECRET_VARIABLE = "RIGHTCALL_SECRET_KEY"  # noqa: S105 - the name of a variable
_LOG_FORMATS = ("human", "json")
_LOG_LEVELS = ("debug", "info", "warning", "error")


def log_options(function: Decorated) -> Decorated:
    """``--log-format`` and ``--log-level``, put into effect before the command runs."""

    @wraps(function)
    def configured(*, log_format: str, log_level: str, **params: object) -> object:
        from rightcall.programs import logs  # noqa: PLC0415 - a command that is refused needs none

        logs.configure(log_format, log_level)
        return function(**params)

    level = option("--log-level", type=click.Choice(_LOG_LEVELS), default="info", help="The least that is logged.")
    log_format = option(
        "--log-format",
        type=click.Choice(_LOG_FORMATS),
        default="human",
        help="Log lines for people, or one JSON object a line.",
    )
    return log_format(level(configured))


def secret_option(function: Decorated) -> Decorated:
    """``--secret-key-file``, passed to the command as ``secrets``: the keys themselves, the one that signs first."""
    return option(
        "--secret-key-file",
        "secrets",
        type=click.Path(dir_okay=False, path_type=Path),
        callback=_read_secrets,
        help=(
            "File with the deployment's secret key, at least 16 bytes: passwords are hashed "
            "and rules are signed with it. Of several keys, one a line, the first is used and the others are still "
            f"accepted. Or put them into the variable {_SECRET_VARIABLE}; they are never an option's value."
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


def scope_options(function: Decorated) -> Decorated:
    """``--redis-prefix`` and ``--deployment``, passed to the command together as ``scope``."""

    @wraps(function)
    def scoped(*, redis_prefix: str, deployment: str, **params: object) -> object:
        return function(scope=Scope(redis_prefix, deployment), **params)

    prefix = option("--redis-prefix", default=DEFAULT_PREFIX, help="Start of every key in Redis.")
    deployment = option(
        "--deployment",
        default="",
        metavar="NAME",
        help="What this deployment is called: rules that were published for another one are refused.",
    )
    return prefix(deployment(scoped))


def isolate_faults_option(function: Decorated) -> Decorated:
    """``--isolate-faults``."""
    return option(
        "--isolate-faults",
        is_flag=True,
        help=(
            "Publish the sound permissions of tenants with faults; a faulty deny denies everything to those whom it is "
            "associated with, a faulty allow allows nothing."
        ),
    )(function)


def json_option(function: Decorated) -> Decorated:
    """``--json``, passed to the command as ``as_json``."""
    return option("--json", "as_json", is_flag=True, help="Print one JSON document.")(function)


def _read_secrets(ctx: click.Context, param: click.Parameter, path: Path | None) -> tuple[bytes, ...]:
    value = os.environ.get(_SECRET_VARIABLE, "")
    if path is not None and value:
        raise click.UsageError(f"--secret-key-file and {_SECRET_VARIABLE} exclude each other; give one of them.", ctx)
    if path is None:
        return _checked(value.encode("utf-8", "surrogateescape"), _SECRET_VARIABLE, ctx) if value else ()
    try:
        return _checked(read_regular(path), str(path), ctx)
    except OSError as error:
        raise click.BadParameter(f"'{path}' cannot be read: {error.strerror}.", ctx, param) from error


def _checked(content: bytes, origin: str, ctx: click.Context) -> tuple[bytes, ...]:
    """The keys, one a line."""
    secrets = tuple(line.strip() for line in content.splitlines() if line.strip())
    shortest = min(map(len, secrets), default=0)
    if shortest < SHORTEST_SECRET:
        raise click.UsageError(
            f"the secret key in {origin} has {shortest} bytes; give at least {SHORTEST_SECRET}, "
            "as of: openssl rand -hex 32",
            ctx,
        )
    return secrets
