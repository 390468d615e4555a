"""The options of ``rightcall serve`` for allowed clients and connections."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import wraps
from typing import TYPE_CHECKING, Any

import rich_click as click

from pdp.errors import SecurityError
from pdp.security.settings import Auth, SecuritySettings
from rightcall.cli.command import option
from rightcall.programs.exits import ExitCode, Failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from pdp.settings import ServerSettings

    Decorated = Callable[..., Any]

_COUNT = click.IntRange(min=0)
_OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "auth": (
        "How clients are told apart. Without it: not at all on loopback and Unix sockets, and no start elsewhere.",
        {"type": click.Choice([auth.value for auth in Auth])},
    ),
    "clients": ("File with the clients, for tokens and mtls.", {"metavar": "FILE"}),
    "tls_certificate": ("Speak TLS, with this certificate chain; PEM.", {"metavar": "FILE"}),
    "tls_key": ("The certificate's private key; PEM, without a passphrase.", {"metavar": "FILE"}),
    "tls_client_ca": (
        "Take only clients with a certificate of these authorities; PEM.",
        {"metavar": "FILE"},
    ),
    "tls_client_names": (
        "Of those, only who has this DNS name or URI in the certificate, or *.DOMAIN; may be repeated.",
        {"metavar": "NAME", "multiple": True},
    ),
    "tls_crl": ("Refuse the client certificates that these revocation lists name; PEM.", {"metavar": "FILE"}),
    "http_tls": ("Speak TLS on the HTTP port too, with the same certificate.", {"is_flag": True}),
    "jwks": ("Keys of the issuer of JWTs.", {"metavar": "FILE|URL"}),
    "jwt_audience": ("Who a JWT must be meant for (aud).", {"metavar": "TEXT"}),
    "jwt_issuer": ("Who must have issued a JWT (iss).", {"metavar": "TEXT"}),
    "jwt_tenant_claim": (
        "The claim that names a client's tenants: a UUID, a list of them, or * for every one.",
        {"metavar": "TEXT"},
    ),
    "client_rate": (
        "Questions a second that one client may ask; 0: no limit.",
        {"metavar": "NUMBER", "type": click.FloatRange(min=0)},
    ),
    "client_burst": (
        "Questions that it may ask at once beyond that; 0: those of one second.",
        {"metavar": "NUMBER", "type": _COUNT},
    ),
    "client_concurrency": (
        "Its calls that are worked on at the same time; 0: no limit.",
        {"metavar": "NUMBER", "type": _COUNT},
    ),
}


def security_options(function: Decorated) -> Decorated:
    """An option for each of ``SecuritySettings``, passed to the command as part of ``settings``.

    Invalid options end the command with exit code 2.
    """

    @wraps(function)
    def secured(*, settings: ServerSettings, **params: Any) -> object:
        given = {name: params.pop(name) for name in _OPTIONS}
        given["auth"] = Auth(given["auth"]) if given["auth"] else None
        given["tls_client_names"] = tuple(given["tls_client_names"])
        try:
            return function(settings=replace(settings, security=SecuritySettings(**given)), **params)
        except SecurityError as error:
            raise Failure(str(error), ExitCode.USAGE) from error

    defaults = SecuritySettings()
    decorated: Decorated = secured
    for field in reversed(fields(SecuritySettings)):
        text, attributes = _OPTIONS[field.name]
        default = getattr(defaults, field.name)
        # One name is given at a time, so its option is called for one.
        name = "tls_client_name" if field.name == "tls_client_names" else field.name
        decorated = option(
            "--" + name.replace("_", "-"),
            field.name,
            default=default,
            help=text,
            panel="Who may ask",
            **attributes,
        )(decorated)
    return decorated
