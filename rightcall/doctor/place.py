"""A listening address: resolution of the name, reachability, and the TLS handshake."""

from __future__ import annotations

import os
import pkgutil
import socket
import ssl
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from cryptography import x509

from pdp.runtime.address import UNIX, parse_address
from pdp.runtime.files import read_regular

if TYPE_CHECKING:
    from collections.abc import Iterator

HTTP2 = "h2"
"""The application protocol of gRPC inside TLS."""
_GRPC_PORT = 443
"""The port that gRPC uses for a target without one."""
_SETTLE_SECONDS = 1.0
"""Seconds in which a server that accepts the client sends HTTP/2's first frame; another one hangs up."""


class TlsFiles(NamedTuple):
    """The files for TLS; see ``rightcall.client.channel.credentials``."""

    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """The result of a TLS handshake.

    Attributes:
        certificate: the server's certificate; None if the handshake ended earlier.
        protocol: the negotiated application protocol, such as ``h2``; None: none.
        version: of TLS, as in ``TLSv1.3``.
        distrust: why the certificate is not trusted; empty for a trusted one.
        refusal: why the server hung up after the handshake; empty if the connection stayed.
    """

    certificate: x509.Certificate | None
    protocol: str | None
    version: str
    distrust: str = ""
    refusal: str = ""


class Place:
    """A host and a port, or the path of a Unix socket.

    Args:
        target: ``HOST:PORT``, ``dns:///HOST:PORT``, ``unix:PATH``, or something else that gRPC understands.
        seconds: timeout of each step.

    Raises:
        ListenError: the target resembles a host and a port, and is invalid.
    """

    def __init__(self, target: str, seconds: float) -> None:
        self.target = target
        self._seconds = seconds
        self.path = ""
        self.host, self.port = "", 0
        if target.startswith(UNIX):
            self.path = target.removeprefix(UNIX).removeprefix("//")
            return
        name = target.removeprefix("dns:").lstrip("/")
        if not name.count(":") or name.endswith("]"):
            name += f":{_GRPC_PORT}"
        address = parse_address(name)
        self.host, self.port = address.host or "localhost", address.port

    @cached_property
    def addresses(self) -> list[tuple[socket.AddressFamily, Any]]:
        """Resolves the name to addresses.

        Raises:
            OSError: the name cannot be resolved.
        """
        if self.path:
            return [(socket.AF_UNIX, self.path)]
        found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys((family, address) for family, _, _, _, address in found))

    @property
    def is_here(self) -> bool:
        """Whether the address is on this machine, so that no other machine can listen in between."""
        if self.path:
            return True
        hosts = [str(address[0]) for _, address in self.addresses]
        return all(host.startswith("127.") or host == "::1" for host in hosts)

    def connect(self, family: socket.AddressFamily, address: Any) -> socket.socket:
        """A connection to one of the addresses.

        Raises:
            OSError: there is none to be had.
        """
        connection = socket.socket(family, socket.SOCK_STREAM)
        connection.settimeout(self._seconds)
        try:
            connection.connect(address)
        except BaseException:
            connection.close()
            raise
        return connection

    def handshake(self, files: TlsFiles, *, protocol: str = "") -> Shown:
        """Connects over TLS; after a failure of the certificate again, without verification.

        Args:
            files: the certificate files.
            protocol: the requested protocol, such as ``HTTP2``.

        Raises:
            OSError: no TLS there (``ssl.SSLError``), or no server.
        """
        try:
            return self._shake(_context(files, protocol), protocol)
        except ssl.SSLCertVerificationError as error:
            distrust = error.verify_message.rstrip(".")
            context = _context(files._replace(ca_file=None), protocol, trusting=True)
            shown = self._shake(context, protocol)
            return Shown(shown.certificate, shown.protocol, shown.version, distrust, shown.refusal)

    def speaks_tls(self) -> bool:
        """Whether the listener completes a TLS handshake, trusted or not."""
        try:
            self._shake(_context(TlsFiles(), HTTP2, trusting=True), "")
        except OSError:
            return False
        return True

    def _shake(self, context: ssl.SSLContext, protocol: str) -> Shown:
        refused: OSError | None = None
        for family, address in self.addresses:
            try:
                connection = self.connect(family, address)
            except OSError as error:
                refused = error
                continue
            with connection, context.wrap_socket(connection, server_hostname=self.host or "localhost") as secure:
                shown = secure.getpeercert(binary_form=True)
                return Shown(
                    x509.load_der_x509_certificate(shown) if shown else None,
                    secure.selected_alpn_protocol(),
                    secure.version() or "",
                    refusal=self._refusal(secure) if protocol else "",
                )
        raise refused or OSError("there is no address to connect to")

    def _refusal(self, secure: ssl.SSLSocket) -> str:
        """In TLS 1.3 a server judges the client's certificate after the client has finished."""
        secure.settimeout(min(self._seconds, _SETTLE_SECONDS))
        try:
            return "" if secure.recv(1) else "it hung up"
        except TimeoutError:
            return ""
        except ssl.SSLError as error:
            return (error.reason or "it hung up").lower().replace("_", " ")
        except OSError as error:
            return error.strerror or "it hung up"


def place_of(target: str, seconds: float) -> Place | None:
    """The address of a gRPC target; None for a target that only gRPC can resolve.

    Raises:
        ListenError: the target resembles a host and a port, and is invalid.
    """
    scheme, _, rest = target.partition(":")
    asks_another = scheme == "dns" and rest.startswith("//") and not rest.startswith("///")
    foreign = rest.startswith("//") and scheme not in ("dns", "unix")
    if asks_another or foreign or scheme in ("ipv4", "ipv6", "unix-abstract", "vsock"):
        return None
    return Place(target, seconds)


def names_of(certificate: x509.Certificate) -> list[str]:
    """The names that a certificate is for."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return [str(one.value) for one in certificate.subject]
    return [str(one.value) for one in names if isinstance(one, x509.DNSName | x509.IPAddress)]


def certificates_in(path: str) -> Iterator[x509.Certificate]:
    """The certificates of a PEM file.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is not PEM with certificates.
    """
    yield from x509.load_pem_x509_certificates(read_regular(path))


def _context(files: TlsFiles, protocol: str, *, trusting: bool = False) -> ssl.SSLContext:
    """The context of a handshake.

    Raises:
        OSError: a file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if trusting:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif files.ca_file:
        context.load_verify_locations(files.ca_file)
    elif protocol == HTTP2:
        _trust_what_grpc_trusts(context)
    else:
        context.load_default_certs()
    if files.certificate_file and files.key_file:
        # With a function there is no prompt for a passphrase.
        context.load_cert_chain(files.certificate_file, files.key_file, password=lambda: b"")
    if protocol:
        context.set_alpn_protocols([protocol])
    return context


def _trust_what_grpc_trusts(context: ssl.SSLContext) -> None:
    """The authorities that gRPC brings, which are not those of the system."""
    path = os.environ.get("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH")
    brought = None if path else pkgutil.get_data("grpc", "_cython/_credentials/roots.pem")
    if brought:
        context.load_verify_locations(cadata=brought.decode("ascii", "ignore"))
    elif path:
        context.load_verify_locations(path)
    else:
        context.load_default_certs()
