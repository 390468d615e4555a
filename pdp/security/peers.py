"""Client certificates: names, validity and revocation. TLS itself has checked the signatures."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import ExtensionOID, NameOID

from pdp.errors import SecurityError, Unauthenticated
from pdp.security.identity import Client
from pdp.security.watch import Watched, read_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pdp.metrics.registry import Metrics
    from pdp.security.clients import Clients

_UNPARSABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""Errors of cryptography for bytes that are no certificate or list, on loading or when a part is first read."""
_REMEMBERED = 10_000
_Revoked = frozenset[tuple[bytes, int]]


@dataclass(frozen=True, slots=True)
class Certificate:
    """The fields of a client's certificate that are checked.

    Attributes:
        names: DNS names and URIs, in lower case; without any of these, the common names.
        issuer: the issuer's name, encoded.
        serial: serial number.
        begins: start of validity, in seconds of Unix time.
        ends: end of validity, in seconds of Unix time.
    """

    names: tuple[str, ...]
    issuer: bytes
    serial: int
    begins: float
    ends: float


class Peers:
    """Identifies clients by the certificates of their connections.

    Args:
        allowed: names of which a certificate must have one; a leading ``*.`` stands for one label. None: any will do.
        revoked: the revoked certificates; None: revocation is not checked.
        clients: services and tenants by client; None: every client may use all.
    """

    def __init__(
        self,
        allowed: Sequence[str],
        revoked: Watched[_Revoked] | None,
        clients: Watched[Clients] | None,
    ) -> None:
        self._allowed = frozenset(name.lower() for name in allowed)
        self._revoked = revoked
        self._clients = clients
        self._read: dict[bytes, Certificate] = {}

    def check(self, pem: bytes | None) -> Certificate:
        """The certificate of a connection, checked again to be valid now.

        Raises:
            Unauthenticated: there is no certificate, or an invalid one.
        """
        if pem is None:
            raise Unauthenticated("certificate")
        certificate = self._read.get(pem) or self._parsed(pem)
        if not certificate.begins <= time.time() <= certificate.ends:
            raise Unauthenticated("expired")
        if self._revoked is not None and (certificate.issuer, certificate.serial) in self._revoked.get():
            raise Unauthenticated("certificate")
        if self._allowed and not any(name in self._allowed for name in _with_wildcards(certificate.names)):
            raise Unauthenticated("certificate")
        return certificate

    def identify(self, certificate: Certificate) -> Client:
        """The client that a certificate belongs to.

        Raises:
            Unauthenticated: the certificate has no name, or none that the clients file knows.
        """
        if not certificate.names:
            raise Unauthenticated("certificate")
        if self._clients is None:
            return Client(f"certificate:{certificate.names[0]}")
        by_name = self._clients.get().by_name
        for name in certificate.names:
            if name in by_name:
                return by_name[name]
        raise Unauthenticated("unknown")

    def basis(self) -> tuple[object, object]:
        """The objects that certificates are checked against: the revoked ones, and the clients."""
        revoked, clients = self._revoked, self._clients
        return revoked.get() if revoked is not None else None, clients.get() if clients is not None else None

    def _parsed(self, pem: bytes) -> Certificate:
        try:
            certificate = parse_certificate(pem)
        except _UNPARSABLE:
            raise Unauthenticated("certificate") from None
        if len(self._read) >= _REMEMBERED:
            self._read = {}
        self._read[pem] = certificate
        return certificate


def parse_certificate(pem: bytes) -> Certificate:
    """Reads a certificate.

    Raises:
        Exception: one of ``_UNPARSABLE``; the text is no certificate, or parts cannot be read.
    """
    certificate = x509.load_pem_x509_certificate(pem)
    return Certificate(
        tuple(dict.fromkeys(name.lower() for name in _names(certificate))),
        certificate.issuer.public_bytes(),
        certificate.serial_number,
        certificate.not_valid_before_utc.timestamp(),
        certificate.not_valid_after_utc.timestamp(),
    )


def watched_revocations(path: str, authorities: str, metrics: Metrics) -> Watched[_Revoked]:
    """The certificates that revocation lists name, re-read as the file changes.

    Raises:
        SecurityError: the lists cannot be used.
    """

    def read() -> _Revoked:
        return parse_revocations(
            read_file(path, "the revocation list"), read_file(authorities, "the file of client authorities")
        )

    return Watched("peers", (path, authorities), read, metrics)


def parse_revocations(data: bytes, authorities: bytes) -> _Revoked:
    """Reads revocation lists, PEM, one after the other.

    Raises:
        SecurityError: one is none, or is signed by none of ``authorities``.
    """
    try:
        signers = x509.load_pem_x509_certificates(authorities)
        lists = [x509.load_pem_x509_crl(begin + part) for begin, part in _split(data)]
        revoked = frozenset(entry for one in lists for entry in _revoked_by(one, signers))
    except _UNPARSABLE as error:  # of any part: each is parsed when it is first looked at
        raise SecurityError(f"the revocation list cannot be read: {error}; give PEM, of X509 CRL blocks") from None
    if not lists:
        raise SecurityError("the revocation list is empty; give PEM, of X509 CRL blocks")
    return revoked


def _revoked_by(one: x509.CertificateRevocationList, signers: Iterable[x509.Certificate]) -> _Revoked:
    """The entries of a list.

    Raises:
        SecurityError: none of ``signers`` signed the list.
    """
    if not any(_signed_by(one, signer) for signer in signers):
        name = one.issuer.rfc4514_string()
        raise SecurityError(f"the revocation list of {name!r} is signed by none of the client authorities")
    issuer = one.issuer.public_bytes()
    return frozenset((issuer, entry.serial_number) for entry in one)


def _split(data: bytes) -> Iterable[tuple[bytes, bytes]]:
    begin = b"-----BEGIN X509 CRL-----"
    return ((begin, part) for part in data.split(begin)[1:])


def _signed_by(one: x509.CertificateRevocationList, signer: x509.Certificate) -> bool:
    if one.issuer != signer.subject:
        return False
    try:
        return one.is_signature_valid(signer.public_key())  # type: ignore[arg-type] # raises TypeError for others
    except (InvalidSignature, TypeError, UnsupportedAlgorithm):
        return False


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    except x509.ExtensionNotFound:
        alternative: list[str] = []
    else:
        assert isinstance(found, x509.SubjectAlternativeName)  # noqa: S101 - what that OID stands for
        alternative = [
            *found.get_values_for_type(x509.DNSName),
            *found.get_values_for_type(x509.UniformResourceIdentifier),
        ]
    # A certificate that has alternative names is called by those alone, as in HTTPS.
    return alternative or [
        str(attribute.value) for attribute in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    ]


def _with_wildcards(names: Iterable[str]) -> Iterable[str]:
    for name in names:
        yield name
        _, dot, parent = name.partition(".")
        if dot:
            yield f"*.{parent}"
