"""The options of a source of definitions: of a Wazo Platform, and defaults for tenants."""

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

    from loader.sources import WazoOptions
    from loader.sources.defaults import TenantDefaults

    Decorated = Callable[..., Any]

_WAZO_PASSWORD = "RIGHTCALL_WAZO_PASSWORD"  # noqa: S105 - the name of a variable


def tenant_default_options(function: Decorated) -> Decorated:
    """Defaults for tenants without values of their own, passed to the command together as ``defaults``."""

    @wraps(function)
    def collected(*, default_dialling: tuple[str, ...], default_emergency: tuple[str, ...], **params: object) -> object:
        return function(defaults=_defaults(default_dialling, default_emergency), **params)

    decorated: Decorated = collected
    for add in (
        option(
            "--default-emergency",
            multiple=True,
            metavar="[TENANT:]COUNTRY,NUMBER,…",
            help=(
                "Emergency numbers of tenants that name none, as in FR,114,196; of one tenant, by its UUID or name. "
                "More than once for more. In the variable, separated by spaces."
            ),
        ),
        option(
            "--default-dialling",
            multiple=True,
            metavar="[TENANT:]country=…,outside_line=…",
            help=(
                "How tenants dial that do not say it, as in country=FR,outside_line=0; or one, by its UUID or name. "
                "More than once for more. In the variable, separated by spaces."
            ),
        ),
    ):
        decorated = add(decorated)
    return decorated


def wazo_options(function: Decorated) -> Decorated:
    """The settings of a Wazo Platform beside the URL, passed to the command together as ``wazo``."""

    @wraps(function)
    def collected(
        *,
        wazo_username: str,
        wazo_password_file: Path | None,
        wazo_auth_url: str,
        wazo_bus_url: str,
        wazo_tenant: tuple[str, ...],
        wazo_ca_file: str,
        wazo_insecure: bool,
        **params: object,
    ) -> object:
        given = {
            "username": wazo_username,
            "password": _password(wazo_password_file),
            "auth_url": wazo_auth_url,
            "bus_url": wazo_bus_url,
            "tenants": wazo_tenant,
            "ca_file": wazo_ca_file,
        }
        return function(wazo=_wazo(given, verify=not wazo_insecure), **params)

    panel = "Wazo Platform"
    decorated: Decorated = collected
    for add in (
        option("--wazo-insecure", is_flag=True, help="Do not check the servers' certificates.", panel=panel),
        option("--wazo-ca-file", default="", metavar="FILE", help="Authorities to trust, PEM.", panel=panel),
        option(
            "--wazo-tenant",
            multiple=True,
            metavar="UUID|NAME",
            help="Only this tenant; more than once for more. In the variable, separated by spaces.",
            panel=panel,
        ),
        option(
            "--wazo-bus-url",
            default="",
            metavar="URL",
            help="Wazo's RabbitMQ, amqp://USER:PASSWORD@HOST:5672/: changes are noticed at once. Without, by polling.",
            panel=panel,
        ),
        option(
            "--wazo-auth-url",
            default="",
            metavar="URL",
            help="Of wazo-auth, where it is not beside wazo-confd.",
            panel=panel,
        ),
        option(
            "--wazo-password-file",
            type=click.Path(dir_okay=False, path_type=Path),
            help=f"File with that user's password; or put it into the variable {_WAZO_PASSWORD}.",
            panel=panel,
        ),
        option("--wazo-username", default="", metavar="TEXT", help="User of the platform who reads.", panel=panel),
    ):
        decorated = add(decorated)
    return decorated


def _defaults(dialling: tuple[str, ...], emergency: tuple[str, ...]) -> TenantDefaults | None:
    """None without any: who asks a server does not wait for the import."""
    if not dialling and not emergency:
        return None
    from loader.sources.defaults import DefaultError, TenantDefaults  # noqa: PLC0415 - only on use

    try:
        return TenantDefaults.parsed(dialling, emergency)
    except DefaultError as error:
        raise click.UsageError(str(error)) from error


def _wazo(given: dict[str, Any], *, verify: bool) -> WazoOptions | None:
    """None where nothing is given: who asks a server does not wait for the import."""
    if verify and not any(given.values()):
        return None
    from loader.sources import WazoOptions  # noqa: PLC0415 - only on use

    return WazoOptions(verify=verify, **given)


def _password(path: Path | None) -> str:
    if path is None:
        return os.environ.get(_WAZO_PASSWORD, "")
    try:
        return read_regular(path).decode().strip()
    except OSError as error:
        raise click.UsageError(f"'{path}' cannot be read: {error.strerror}.") from error
