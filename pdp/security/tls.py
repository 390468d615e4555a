"""The server's own certificate, for gRPC and for HTTP; reloaded when the files change, without a restart."""

from __future__ import annotations

import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from pdp.errors import SecurityError
from pdp.security.watch import Watched, read_file

if TYPE_CHECKING:
    from pdp.metrics.registry import Metrics


@dataclass(frozen=True, slots=True)
class _Files:
    """The contents of the PEM files, checked to fit together.

    Attributes:
        chain: the certificate, and the intermediate ones.
        key: the private key.
        authorities: authorities for client certificates; empty: none are requested.
    """

    chain: bytes
    key: bytes
    authorities: bytes


class ServerCertificate:
    """The server's certificate, and the authorities for client certificates.

    Args:
        chain: PEM file.
        key: PEM file.
        authorities: PEM file; empty: clients need no certificate.
        metrics: where changes are counted.

    Raises:
        SecurityError: the files cannot be used.
    """

    def __init__(self, chain: str, key: str, authorities: str, metrics: Metrics) -> None:
        self._asks_clients = bool(authorities)
        paths = tuple(path for path in (chain, key, authorities) if path)
        self._files = Watched("certificate", paths, lambda: _read(chain, key, authorities), metrics)

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """Credentials for gRPC's listener; gRPC accepts TLS 1.2 and later only."""
        shown = self._files.get()

        def changed() -> grpc.ServerCertificateConfiguration | None:
            nonlocal shown
            found = self._files.get()
            if found is shown:
                return None
            shown = found
            return _configuration(found)

        return grpc.dynamic_ssl_server_credentials(
            _configuration(shown),
            changed,  # type: ignore[arg-type] # None is how it says that nothing changed
            require_client_authentication=self._asks_clients,
        )

    def pem(self) -> tuple[bytes, bytes, bytes]:
        """Chain, private key and client authorities, at most a second older than the files."""
        files = self._files.get()
        return files.chain, files.key, files.authorities

    def http_context(self) -> ssl.SSLContext:
        """TLS context of the HTTP port. A client's certificate is read, but probes and scrapers need none."""
        shown = self._files.get()
        inner = _context(shown)

        def renew(connection: Any, _name: str | None, _context_of: ssl.SSLContext) -> None:
            """Called in every handshake, with or without a server name."""
            nonlocal shown, inner
            found = self._files.get()
            if found is not shown:
                inner = _context(found)
                shown = found
            connection.context = inner

        outer = _context(shown)
        outer.sni_callback = renew
        return outer


def _configuration(files: _Files) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(files.key, files.chain)], root_certificates=files.authorities or None
    )


def _context(files: _Files) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if files.authorities:
        context.load_verify_locations(cadata=files.authorities.decode("ascii", "replace"))
        context.verify_mode = ssl.CERT_OPTIONAL
    # The ssl module reads files alone, and the checked bytes must be the loaded ones. The directory is private.
    with tempfile.TemporaryDirectory(prefix="rightcall-") as directory:
        path = Path(directory, "chain-and-key.pem")
        path.touch(mode=0o600)
        path.write_bytes(files.key + b"\n" + files.chain)
        context.load_cert_chain(path)
    return context


def _read(chain: str, key: str, authorities: str) -> _Files:
    files = _Files(
        read_file(chain, "the certificate"),
        read_file(key, "the private key"),
        read_file(authorities, "the file of client authorities") if authorities else b"",
    )
    try:
        own = x509.load_pem_x509_certificates(files.chain)[0].public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise SecurityError(f"the certificate {chain!r} cannot be read; give PEM, of CERTIFICATE blocks") from None
    try:
        private = load_pem_private_key(files.key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SecurityError(f"the private key {key!r} cannot be read; give PEM, without a passphrase") from None
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if own.public_bytes(*form) != private.public_key().public_bytes(*form):
        raise SecurityError(f"the private key {key!r} is not that of the certificate {chain!r}; give those of one pair")
    if authorities:
        _check_authorities(files.authorities, authorities)
    return files


def _check_authorities(data: bytes, path: str) -> None:
    try:
        x509.load_pem_x509_certificates(data)
    except (ValueError, UnsupportedAlgorithm):
        raise SecurityError(
            f"the client authorities {path!r} cannot be read; give PEM, of CERTIFICATE blocks"
        ) from None
