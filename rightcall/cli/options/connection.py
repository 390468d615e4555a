"""The options of the connection to a server."""

from __future__ import annotations

import os
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from pdp.runtime.files import read_regular
from rightcall.cli.command import option

if TYPE_CHECKING:
    from collections.abc import Callable

    Decorated = Callable[..., Any]

_TOKEN_VARIABLE = "RIGHTCALL_TOKEN"  # noqa: S105 - the name of a variable


def connection_options(function: Decorated) -> Decorated:
    """Passed to the command together as ``connection``: arguments for a client."""

    @wraps(function)
    def connecting(
        *,
        tls: bool,
        ca_file: str | None,
        certificate_file: str | None,
        key_file: str | None,
        token_file: Path | None,
        **params: Any,
    ) -> object:
        connection = {
            "tls": tls,
            "ca_file": ca_file,
            "certificate_file": certificate_file,
            "key_file": key_file,
            "token": _token(token_file),
        }
        return function(connection=connection, **params)

    options = (
        option("--tls", is_flag=True, help="Connect to the server with TLS."),
        option("--ca-file", metavar="PATH", help="PEM file of the authorities to trust; implies --tls."),
        option("--certificate-file", metavar="PATH", help="PEM file of the client's own certificate; implies --tls."),
        option("--key-file", metavar="PATH", help="PEM file of its private key."),
        option(
            "--token-file",
            type=click.Path(dir_okay=False, path_type=Path),
            help=(
                "File with the token that the server knows this client by; sent over TLS alone, and read each time. "
                f"Or put the token itself into the variable {_TOKEN_VARIABLE}; it is never an option's value."
            ),
        ),
    )
    decorated: Decorated = connecting
    for add in reversed(options):
        decorated = add(decorated)
    return decorated


def told(error: OSError | ValueError) -> click.UsageError:
    """The error message for files or options with which no client can be made."""
    if isinstance(error, OSError):
        return click.UsageError(f"'{error.filename}' cannot be read: {error.strerror}; name a PEM file.")
    return click.UsageError(f"{error}.")


def _token(path: Path | None) -> str | Callable[[], str] | None:
    """The token, or a function that reads the token's file: an expiring token is replaced there."""
    value = os.environ.get(_TOKEN_VARIABLE, "")
    if path is not None and value:
        raise click.UsageError(f"--token-file and {_TOKEN_VARIABLE} exclude each other; give one of them.")
    if path is None:
        return value or None
    try:
        read_regular(path)
    except OSError as error:
        raise click.UsageError(f"'{path}' cannot be read: {error.strerror}.") from error
    return lambda: read_regular(path).decode("ascii").strip()
