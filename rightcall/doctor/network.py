"""The connection to a server: name, port, TLS and certificates on both sides, and proxies."""

from __future__ import annotations

import datetime as dt
import os
import socket
import ssl
from typing import TYPE_CHECKING, Final

from rightcall.doctor.findings import NotExamined, failure, listed, ok, warning
from rightcall.doctor.place import HTTP2, certificates_in, names_of

if TYPE_CHECKING:
    from cryptography import x509

    from rightcall.doctor.findings import Finding
    from rightcall.doctor.place import Place, Shown
    from rightcall.doctor.server import ServerPart

WARNED_DAYS: Final = 14
"""Before the end of a certificate."""
_PROXIES: Final = ("grpc_proxy", "https_proxy", "http_proxy")
"""The variables of proxies, in gRPC's order."""
_EXCEPTIONS: Final = ("no_grpc_proxy", "no_proxy")


def check_name(place: Place) -> Finding:
    """Whether the name stands for an address."""
    if place.path:
        return ok("a Unix socket")
    try:
        hosts = [str(address[0]) for _, address in place.addresses]
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no host name"
        return failure(f"{place.host}: {reason}", "check the name, and this machine's DNS or /etc/hosts")
    return ok(f"{place.host} is {listed(hosts)}" if hosts != [place.host] else f"{place.host} is an address")


def check_reached(place: Place) -> Finding:
    """Whether something listens, at every address that the name has."""
    try:
        addresses = place.addresses
    except OSError as error:
        return failure(error.strerror or str(error), "check the name")
    reached, missed = [], []
    for family, address in addresses:
        shown = str(address[0]) if isinstance(address, tuple) else address
        try:
            place.connect(family, address).close()
        except OSError as error:
            missed.append(f"{shown}: {_reason(error)}")
        else:
            reached.append(shown)
    if not reached:
        advice = "check that the server runs, listens on more than loopback (--listen), and that no firewall is between"
        return failure(listed(missed), advice)
    # A name such as localhost stands for IPv4 and IPv6, and a server may well listen on one of the two alone.
    if missed and not place.is_here:
        advice = "clients skip these addresses; take them out of DNS, or start the servers there"
        return warning(f"{listed(reached)} answer, not {listed(missed)}", advice)
    return ok(place.path or f"port {place.port} of {listed(reached)}")


def check_tls(server: ServerPart) -> Finding:
    """Checks that TLS works, with a trusted certificate for this name."""
    place = server.place
    if not server.tls:
        return _without_tls(place)
    try:
        shown = place.handshake(server.files, protocol=HTTP2)
    except ssl.SSLError as error:
        advice = "check that the server runs with --tls-certificate, and that client certificate and key fit together"
        return failure(f"no handshake: {_reason(error)}", advice)
    except OSError as error:
        return failure(f"no handshake: {_reason(error)}", "check that the server runs with --tls-certificate")
    if shown.distrust:
        names = listed(names_of(shown.certificate)) if shown.certificate else "nobody"
        advice = "give its authority with --ca-file, connect by a name that it is for, or renew it"
        return failure(f"the certificate, for {names}, is not trusted: {shown.distrust}", advice)
    if shown.protocol != HTTP2:
        return failure(f"{shown.version}, without HTTP/2", "that is no gRPC port; check the port, and proxies between")
    return ok(f"{shown.version}; the certificate is trusted, and for this name")


def _without_tls(place: Place) -> Finding:
    if place.speaks_tls():
        return failure("the server speaks TLS, and we do not", "connect with --tls, or with --ca-file")
    if place.is_here:
        return ok("none, within this machine")
    advice = "give the server --tls-certificate and --tls-key, unless a mesh or a private network protects it"
    return warning("none: who is between reads and changes answers", advice)


def check_certificate(server: ServerPart) -> Finding:
    """Until when the server's certificate is good."""
    if not server.tls:
        raise NotExamined("TLS is not used")
    shown = _shown(server)
    if shown.certificate is None:
        raise NotExamined("the server shows none")
    return dates(shown.certificate, "the server shows a renewed one as soon as its files are replaced")


def _shown(server: ServerPart) -> Shown:
    """The handshake once more.

    Raises:
        NotExamined: there is none, as ``check_tls`` has reported.
    """
    try:
        return server.place.handshake(server.files, protocol=HTTP2)
    except OSError as error:
        raise NotExamined("there is no handshake") from error


def check_client_certificate(server: ServerPart) -> Finding:
    """Checks that the server accepts the client's certificate, and the certificate's expiry."""
    if not server.tls:
        raise NotExamined("TLS is not used")
    path = server.files.certificate_file
    refusal = _shown(server).refusal
    if not path:
        if not refusal:
            return ok("none is wanted")
        advice = "give --certificate-file and --key-file, of an authority in its --tls-client-ca"
        return failure(f"the server hung up ({refusal}); it wants one, and none was given", advice)
    try:
        own = dates(next(certificates_in(path)), "get a new one from your authority")
    except ValueError:
        return failure(f"{path} holds no certificate", "name a PEM file of CERTIFICATE blocks")
    if own.verdict == "failure" or not refusal:
        return own
    advice = "it must be of an authority in --tls-client-ca, and neither revoked nor expired"
    return failure(f"the server refused it ({refusal})", advice)


def dates(certificate: x509.Certificate, remedy: str) -> Finding:
    """Whether a certificate is good now and for a while."""
    now = dt.datetime.now(dt.UTC)
    end = certificate.not_valid_after_utc
    until = f"{end:%Y-%m-%d %H:%M} UTC"
    if now > end:
        return failure(f"expired {until}", f"renew it; {remedy}")
    if now < certificate.not_valid_before_utc:
        begin = f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        return failure(f"not valid before {begin}", "check the clocks of this machine and of the authority")
    left = end - now
    seen = f"good for {left.days} days, until {until}"
    if left < dt.timedelta(days=WARNED_DAYS):
        return warning(seen, f"renew it; {remedy}")
    return ok(seen)


def check_proxies(place: Place) -> Finding:
    """Whether this environment would send other gRPC clients through a proxy; ours never go through one."""
    named = next((name for name in _PROXIES if os.environ.get(name)), "")
    if not named:
        return ok("none in this environment")
    exceptions = next((os.environ[name] for name in _EXCEPTIONS if os.environ.get(name)), "")
    host = place.host.lower()
    suffixes = [one.strip().lower().lstrip(".") for one in exceptions.split(",")]
    if place.path or any(one == "*" or (one and (host == one or host.endswith(f".{one}"))) for one in suffixes):
        return ok(f"{named} is set, and {place.host or 'a Unix socket'} is excepted")
    advice = f"Rightcall's own clients ignore it; for others, put {place.host} into no_proxy"
    return warning(f"{named} is set: gRPC clients other than ours go through that proxy", advice)


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "refused").lower().replace("_", " ")
    if isinstance(error, TimeoutError | socket.timeout):
        return "no answer in time"
    return error.strerror or "refused"
