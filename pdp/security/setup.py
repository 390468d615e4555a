"""Security, built from the settings; every contradiction is reported here, before any port listens."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from pdp.errors import NotAllowed, SecurityError
from pdp.runtime.address import is_local
from pdp.security.guard import Guard
from pdp.security.identity import ASKING
from pdp.security.limits import Limits
from pdp.security.settings import Auth

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Sequence

    import grpc

    from pdp.errors import CallError
    from pdp.metrics.registry import Metrics
    from pdp.security.clients import Clients
    from pdp.security.identity import Authenticator, Client
    from pdp.security.limits import ClientLimits, MakeLimits
    from pdp.security.peers import Peers
    from pdp.security.settings import SecuritySettings
    from pdp.security.tls import ServerCertificate
    from pdp.security.watch import Watched

_log = structlog.get_logger()


def _nothing() -> None:
    """The start and stop functions where all is read from files."""


@dataclass(frozen=True, slots=True)
class Security:
    """The security of a server: guard, certificate and background work.

    Attributes:
        guard: admits calls; None: every call is admitted.
        certificate: the server's certificate; None: no TLS.
        http_tls: whether the HTTP port has TLS too.
        tells_clients_apart: whether the client of each call is known, so that tenants can be bound to clients.
        start: begins background work.
        stop: ends background work.
    """

    guard: Guard | None
    certificate: ServerCertificate | None
    http_tls: bool
    tells_clients_apart: bool
    start: Callable[[], None] = _nothing
    stop: Callable[[], None] = _nothing

    def grpc_credentials(self) -> grpc.ServerCredentials | None:
        """Credentials of gRPC's listener; None: no TLS."""
        return self.certificate.grpc_credentials() if self.certificate else None

    def http_context(self) -> ssl.SSLContext | None:
        """TLS context of the HTTP port; None: no TLS."""
        return self.certificate.http_context() if self.certificate and self.http_tls else None

    def closed_to_strangers(self, address: str) -> Callable[[], CallError] | None:
        """Makes the error where clients cannot be told apart and reach an address from elsewhere; None: all is well."""
        if self.tells_clients_apart or is_local(address):
            return None

        def denied() -> CallError:
            error = NotAllowed("service")
            return self.guard.refused(error) if self.guard is not None else error

        return denied

    def denied_tenant(self) -> None:
        """Counts a client's request about another client's tenant."""
        if self.guard is not None:
            self.guard.refused(NotAllowed("tenant"))

    @contextmanager
    def admit_http(
        self,
        authorization: Sequence[str],
        questions: Callable[[], int],
        certificate: bytes | None,
        right: str,
        spared: Callable[[], bool],
    ) -> Iterator[None]:
        """Admits a request over HTTP, for as long as the block lasts.

        Args:
            authorization: the values of the headers of this name.
            questions: returns the number of requests in the body; called once the client is known.
            certificate: the client's certificate, PEM; None: the client sent none.
            right: the right that the request needs, one of ``RIGHTS``.
            spared: whether the request is admitted although the client is over the limits; called as the client.

        Raises:
            CallError: the request is rejected; or the error of ``questions``.
        """
        guard = self.guard
        if guard is None:
            yield
            return
        client = guard.identify(authorization, right)

        def is_spared(known: Client) -> bool:
            token = ASKING.set(known)
            try:
                return spared()
            finally:
                ASKING.reset(token)

        with guard.admit(
            client, right, peer="http", certificate=certificate, cost=questions(), spared=is_spared
        ) as client:
            token = ASKING.set(client)
            try:
                yield
            finally:
                ASKING.reset(token)


def open_security(
    settings: SecuritySettings, addresses: Sequence[str], metrics: Metrics, *, make_limits: MakeLimits = Limits
) -> Security:
    """Builds the security of a server that listens on some addresses.

    Args:
        settings: the security settings.
        addresses: the server's addresses.
        metrics: where rejected calls and reloads are counted.
        make_limits: makes the limits of clients, where limits are set.

    Raises:
        SecurityError: the settings contradict each other, or name a file that cannot be used.
    """
    auth = _chosen(settings, addresses)
    _check(settings, auth)
    certificate = _certificate(settings, metrics)
    clients = _clients(settings, metrics)
    authenticator, start, stop = _authenticator(settings, auth, clients, metrics)
    peers = _peers(settings, clients if auth is Auth.MTLS else None, metrics)
    limits = _limits(settings, make_limits)
    guard = None
    if auth is not Auth.NONE or peers is not None or limits is not None:
        guard = Guard(
            authenticator=authenticator,
            peers=peers,
            by_certificate=auth is Auth.MTLS,
            limits=limits,
            metrics=metrics,
        )
    if authenticator is not None and certificate is None and not all(map(is_local, addresses)):
        _log.warning("tokens_in_clear", advice="whoever sees the traffic can take them; give --tls-certificate")
    return Security(guard, certificate, settings.http_tls, auth is not Auth.NONE, start, stop)


def _chosen(settings: SecuritySettings, addresses: Sequence[str]) -> Auth:
    if settings.auth is not None:
        return settings.auth
    exposed = next((address for address in addresses if not is_local(address)), None)
    if exposed is None:
        return Auth.NONE
    raise SecurityError(
        f"{exposed} can be reached from other machines, and nobody said who may ask there; choose --auth tokens, jwt "
        "or mtls, or --auth none where a firewall or a mesh keeps strangers out, or listen on 127.0.0.1"
    )


def _check(settings: SecuritySettings, auth: Auth) -> None:
    """Looks for settings without which others mean nothing, or that would silently do nothing."""
    jwt = {"--jwks": settings.jwks, "--jwt-audience": settings.jwt_audience, "--jwt-issuer": settings.jwt_issuer}
    _needs(bool(settings.tls_certificate) == bool(settings.tls_key), "--tls-certificate and --tls-key need each other")
    for option, value in (("--tls-client-ca", settings.tls_client_ca), ("--http-tls", settings.http_tls)):
        _needs(not value or bool(settings.tls_certificate), f"{option} needs --tls-certificate and --tls-key")
    for option, names in (("--tls-client-name", settings.tls_client_names), ("--tls-crl", settings.tls_crl)):
        _needs(not names or bool(settings.tls_client_ca), f"{option} needs --tls-client-ca")
    _needs(auth is not Auth.TOKENS or bool(settings.clients), "--auth tokens needs --clients")
    _needs(auth is not Auth.MTLS or bool(settings.tls_client_ca), "--auth mtls needs --tls-client-ca")
    _needs(
        not settings.clients or auth in (Auth.TOKENS, Auth.MTLS), "--clients belongs to --auth tokens and --auth mtls"
    )
    for option, value in jwt.items():
        _needs(bool(value) == (auth is Auth.JWT), f"{option} and --auth jwt need each other")
    _needs(not settings.client_burst or bool(settings.client_rate), "--client-burst needs --client-rate")


def _needs(holds: bool, rule: str) -> None:  # noqa: FBT001 - the condition itself, the only choice
    if not holds:
        raise SecurityError(f"{rule}; give both, or neither")


# What TLS, certificates and tokens need is imported by those who use it: it takes long, and most sidecars do not.


def _certificate(settings: SecuritySettings, metrics: Metrics) -> ServerCertificate | None:
    if not settings.tls_certificate:
        return None
    from pdp.security.tls import ServerCertificate  # noqa: PLC0415 - see above

    return ServerCertificate(settings.tls_certificate, settings.tls_key, settings.tls_client_ca, metrics)


def _clients(settings: SecuritySettings, metrics: Metrics) -> Watched[Clients] | None:
    if not settings.clients:
        return None
    from pdp.security.clients import watched_clients  # noqa: PLC0415 - see above

    return watched_clients(settings.clients, metrics)


def _authenticator(
    settings: SecuritySettings, auth: Auth, clients: Watched[Clients] | None, metrics: Metrics
) -> tuple[Authenticator | None, Callable[[], None], Callable[[], None]]:
    """The authenticator, and the background work to start and stop for token checks."""
    if auth is Auth.TOKENS and clients is not None:
        from pdp.security.clients import Tokens  # noqa: PLC0415 - see above

        return Tokens(clients), _nothing, _nothing
    if auth is not Auth.JWT:
        return None, _nothing, _nothing
    from pdp.security.jwks import RemoteKeys, watched_keys  # noqa: PLC0415 - see above
    from pdp.security.jwts import Jwts  # noqa: PLC0415 - see above

    remote = RemoteKeys(settings.jwks, metrics) if "://" in settings.jwks else None
    jwts = Jwts(
        remote or watched_keys(settings.jwks, metrics),
        audience=settings.jwt_audience,
        issuer=settings.jwt_issuer,
        tenant_claim=settings.jwt_tenant_claim,
    )
    return (jwts, remote.start, remote.stop) if remote else (jwts, _nothing, _nothing)


def _peers(settings: SecuritySettings, clients: Watched[Clients] | None, metrics: Metrics) -> Peers | None:
    if not settings.tls_client_ca:
        return None
    from pdp.security.peers import Peers, watched_revocations  # noqa: PLC0415 - see above

    revoked = watched_revocations(settings.tls_crl, settings.tls_client_ca, metrics) if settings.tls_crl else None
    return Peers(settings.tls_client_names, revoked, clients)


def _limits(settings: SecuritySettings, make: MakeLimits) -> ClientLimits | None:
    if not settings.client_rate and not settings.client_concurrency:
        return None
    return make(rate=settings.client_rate, burst=settings.client_burst, concurrency=settings.client_concurrency)
