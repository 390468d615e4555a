"""Addresses to listen on, in the form of the options."""

from __future__ import annotations

import errno
import ipaddress
import socket
from typing import Any, NamedTuple

from pdp.errors import ListenError

UNIX = "unix:"
"""The prefix of a Unix socket's address."""
_LAST_PORT = 65535
_REMEDIES = {
    errno.EADDRINUSE: "something listens there already; stop it, or choose another port",
    errno.EACCES: "ports below 1024 need privileges; choose a higher one",
    errno.EADDRNOTAVAIL: "this host has no such address; listen on 0.0.0.0 or [::] for all of its addresses",
}


class Address(NamedTuple):
    """A host, empty for every one of this machine, and a port, 0 for one that is free."""

    host: str
    port: int

    def __str__(self) -> str:
        """The address as text: ``127.0.0.1:50051``, ``[::1]:50051``."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def socket_addresses(self) -> list[tuple[socket.AddressFamily, tuple[Any, ...]]]:
        """The name resolved: address families and socket addresses, the preferred one first.

        Raises:
            ListenError: the host's name cannot be resolved.
        """
        try:
            found = socket.getaddrinfo(self.host or None, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except (OSError, UnicodeError):
            raise ListenError(str(self), f"the host name {self.host!r} is not known; check it") from None
        return [(family, address) for family, _, _, _, address in found]


def parse_address(text: str) -> Address:
    """Reads ``HOST:PORT``, an IPv6 host in brackets.

    Raises:
        ListenError: the text is nothing of the kind.
    """
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        colon = ""
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > _LAST_PORT:
        raise ListenError(repr(text), "that is no HOST:PORT; write for instance 127.0.0.1:50051 or [::1]:50051")
    return Address(host, int(port))


def listen_error(address: object, error: OSError) -> ListenError:
    """The meaning of the operating system's error, and the remedy."""
    return ListenError(str(address), _REMEDIES.get(error.errno or 0, error.strerror or str(error)))


def listening_socket(address: Address, backlog: int = 128, *, reuse_port: bool = False) -> socket.socket:
    """A socket that listens, for a server that takes one.

    Args:
        address: where.
        backlog: connections that may wait to be accepted.
        reuse_port: whether others who say so too may listen on the same address.

    Raises:
        ListenError: the address cannot be listened on.
    """
    family, socket_address = address.socket_addresses()[0]
    # With the protocol named, asyncio sends data written to a connection at once; else responses wait for 40 ms.
    opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        opened.bind(socket_address)
        opened.listen(backlog)
    except OSError as error:
        opened.close()
        raise listen_error(address, error) from None
    return opened


def check_free(address: Address) -> None:
    """Checks that an address can be listened on, for libraries that do not report why listening fails.

    Raises:
        ListenError: the address cannot be listened on.
    """
    refusals: list[OSError] = []
    candidates = address.socket_addresses()
    for family, socket_address in candidates:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                probe.bind(socket_address)
            except OSError as error:
                refusals.append(error)
    # A name with an address of a family that this machine does not have is fine as long as another one works.
    serious = [error for error in refusals if error.errno != errno.EADDRNOTAVAIL]
    if serious or len(refusals) == len(candidates):
        raise listen_error(address, (serious or refusals)[0])


def unix_path(text: str) -> str:
    """The path of a Unix socket's file."""
    return text.removeprefix(UNIX).removeprefix("//")


def check_unix_free(text: str) -> None:
    """Checks that no process answers on a socket file, which gRPC would take over from a running server.

    Raises:
        ListenError: a process answers.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(unix_path(text))
        except OSError:
            return
    raise ListenError(text, "a server listens there already; stop it, or choose another path")


def is_local(listen: str) -> bool:
    """Whether an address can be reached from this machine alone.

    Raises:
        ListenError: the text is no address.
    """
    if not listen or listen.startswith(UNIX):
        return True
    host = parse_address(listen).host
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
