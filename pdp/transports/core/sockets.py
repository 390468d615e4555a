"""Listening sockets for the core, so that faults of an address are reported in one way."""

from __future__ import annotations

import errno
import socket
import stat
from contextlib import suppress
from pathlib import Path

from pdp.errors import ListenError
from pdp.runtime.address import UNIX, Address, check_unix_free, listen_error, parse_address

_BACKLOG = 4096
_EVERYWHERE = ("", "::")


def listening_sockets(text: str) -> tuple[list[socket.socket], str]:
    """The sockets of an address, and the address with its real port.

    Args:
        text: as ``ServerSettings.listen`` has it.

    Raises:
        ListenError: the address cannot be listened on.
    """
    if text.startswith(UNIX):
        return [_unix_socket(text)], text
    address = parse_address(text)
    if address.host in _EVERYWHERE and (both := _of_both_families(address)) is not None:
        opened = [both]
    else:
        opened = _of_each_address(address)
    return opened, str(Address(address.host or "localhost", opened[0].getsockname()[1]))


def remove_socket_file(text: str) -> None:
    """Removes the file of a Unix socket, once no process listens there."""
    if text.startswith(UNIX):
        _unix_path(text).unlink(missing_ok=True)


def _unix_path(text: str) -> Path:
    return Path(text.removeprefix(UNIX).removeprefix("//"))


def _unix_socket(text: str) -> socket.socket:
    check_unix_free(text)
    path = _unix_path(text)
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # One that a dead server left; anything else is not ours to remove.
        with suppress(FileNotFoundError):
            if stat.S_ISSOCK(path.lstat().st_mode):
                path.unlink()
        opened.bind(str(path))
        opened.listen(_BACKLOG)
    except (OSError, ValueError) as error:
        opened.close()
        problem = error.strerror if isinstance(error, OSError) else error
        raise ListenError(text, f"{problem}; check that the path exists, is short, free and allowed") from None
    return opened


def _of_both_families(address: Address) -> socket.socket | None:
    """One socket for all of this machine's addresses; None: the machine has no IPv6."""
    try:
        opened = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    except OSError:
        return None
    try:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        _listen(opened, ("::", address.port))
    except OSError as error:
        opened.close()
        if error.errno == errno.EADDRNOTAVAIL and not address.host:
            return None
        raise listen_error(address, error) from None
    return opened


def _of_each_address(address: Address) -> list[socket.socket]:
    """A socket for each address that a host name stands for, all with the same port."""
    opened: list[socket.socket] = []
    refusals: list[OSError] = []
    for family, (host, port, *rest) in dict(address.socket_addresses()).items():
        one = socket.socket(family, socket.SOCK_STREAM)
        try:
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            _listen(one, (host, port or (opened[0].getsockname()[1] if opened else 0), *rest))
        except OSError as error:
            one.close()
            refusals.append(error)
        else:
            opened.append(one)
    # A name with an address of a family that this machine does not have is fine as long as another one works.
    serious = [error for error in refusals if error.errno != errno.EADDRNOTAVAIL]
    if serious or not opened:
        for one in opened:
            one.close()
        raise listen_error(address, (serious or refusals)[0])
    return opened


def _listen(opened: socket.socket, address: tuple[object, ...]) -> None:
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    opened.bind(address)
    opened.listen(_BACKLOG)
