"""Security settings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Auth(StrEnum):
    """Methods of authentication."""

    NONE = "none"
    TOKENS = "tokens"
    JWT = "jwt"
    MTLS = "mtls"


@dataclass(frozen=True, kw_only=True)
class SecuritySettings:
    """Transport security, authentication and the limits of one client. Empty and 0 turn a setting off.

    Attributes:
        auth: how clients authenticate; None: not at all on loopback and Unix sockets, and no start elsewhere.
        clients: file with the clients (docs/security.md); needed for tokens, optional with client certificates.
        tls_certificate: PEM file of the server's certificate chain.
        tls_key: PEM file of the certificate's private key, without a passphrase.
        tls_client_ca: PEM file of the authorities for client certificates, which are requested then.
        tls_client_names: names of which a client certificate must have one; none: every certificate will do.
        tls_crl: PEM file of revocation lists for client certificates.
        http_tls: whether the HTTP port has TLS too, with the same certificate; metrics and health want none of clients.
        jwks: file or https URL of the keys that sign JWTs.
        jwt_audience: audience that a JWT must name.
        jwt_issuer: issuer that a JWT must name.
        jwt_tenant_claim: the claim that names a client's tenants.
        client_rate: requests a second that one client may send in the long run.
        client_burst: requests that one client may send at once; 0: those of one second.
        client_concurrency: concurrent calls of one client.
    """

    auth: Auth | None = None
    clients: str = ""
    tls_certificate: str = ""
    tls_key: str = ""
    tls_client_ca: str = ""
    tls_client_names: tuple[str, ...] = ()
    tls_crl: str = ""
    http_tls: bool = False
    jwks: str = ""
    jwt_audience: str = ""
    jwt_issuer: str = ""
    jwt_tenant_claim: str = "tenant"
    client_rate: float = 0.0
    client_burst: int = 0
    client_concurrency: int = 0
