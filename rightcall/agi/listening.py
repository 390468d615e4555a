"""Sockets to listen on, so that replacing an adapter rejects no call."""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import struct
from typing import TYPE_CHECKING, Any, Final

import structlog

from pdp.runtime.address import Address, listening_socket, parse_address

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Take = Callable[[socket.socket, tuple[Any, ...]], None]
    """Receives a connection, and the peer's address."""

_log = structlog.get_logger()

BACKLOG: Final = 4096
"""Connections that may wait to be accepted; the system's own limit (net.core.somaxconn) may be lower."""
_IN_A_ROW: Final = 64
"""Connections that are accepted before the dialogues that are held have their turn."""
_PAUSE_SECONDS: Final = 0.1
"""Seconds until the next attempt when the process may open no more files."""
_FIRST_INHERITED: Final = 3
"""Number of the first socket that systemd hands over."""
_SO_ATTACH_FILTER: Final = 26
_HANDSHAKE_SECONDS: Final = 0.02
"""A handshake that has begun is over by then."""

_NO_NEW_CONNECTIONS: Final = (
    (0x30, 0, 0, 13),  # load the flags of the TCP header
    (0x54, 0, 0, 0x12),  # SYN and ACK of them
    (0x15, 0, 1, 0x02),  # SYN alone?
    (0x06, 0, 0, 0),  # then drop the packet
    (0x06, 0, 0, 0xFFFFFFFF),  # else accept
)
"""A packet filter in instructions of classic BPF: drops the opening packet of connections, so peers try again."""


class Listener:
    """A socket that listens.

    Args:
        listening: the socket.
        shared: whether another process holds the same socket, and takes the connections that wait.
        beside_others: whether other processes listen on the same address.
    """

    def __init__(self, listening: socket.socket, *, shared: bool = False, beside_others: bool = False) -> None:
        self.socket = listening
        self._shared = shared
        self._beside_others = beside_others
        listening.settimeout(0)

    @property
    def address(self) -> str:
        """The listening address."""
        host, port = self.socket.getsockname()[:2]
        return str(Address(host, port))

    def serve(self, take: Take) -> None:
        """Hands over each new connection, until the socket is retired. On a running event loop."""
        if self.socket.fileno() >= 0:
            asyncio.get_running_loop().add_reader(self.socket, self._accept, take, _IN_A_ROW)

    async def retire(self, take: Take) -> None:
        """Closes the socket, and hands over the connections that wait to be accepted.

        A shared socket is left to the other processes. Beside other listening sockets, new connections are first kept
        from this one: a connecting peer is not rejected but tries again a second later, and reaches another process.
        """
        asyncio.get_running_loop().remove_reader(self.socket)
        if not self._shared:
            if self._beside_others:
                self._keep_off()
                await asyncio.sleep(_HANDSHAKE_SECONDS)
            self._accept(take, BACKLOG)
        self.socket.close()

    def _accept(self, take: Take, most: int) -> None:
        """Hands over the connections that wait."""
        for _ in range(most):
            try:
                connection, address = self.socket.accept()
            except (BlockingIOError, ConnectionError):  # none is left, or the next one is gone already
                return
            except OSError as error:
                _log.error("agi_accept_failed", error=str(error), advice="allow the process more open files")
                loop = asyncio.get_running_loop()
                loop.remove_reader(self.socket)  # the socket stays ready, and would be tried without a pause
                loop.call_later(_PAUSE_SECONDS, self.serve, take)
                return
            take(connection, address)

    def _keep_off(self) -> None:
        code = b"".join(struct.pack("HBBI", *instruction) for instruction in _NO_NEW_CONNECTIONS)
        held = ctypes.create_string_buffer(code, len(code))
        program = struct.pack("HP", len(_NO_NEW_CONNECTIONS), ctypes.addressof(held))
        self.socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def listeners(listen: str, *, reuse_port: bool, environment: Mapping[str, str] = os.environ) -> list[Listener]:
    """The sockets to serve: those that systemd hands over, else one of our own.

    Args:
        listen: ``HOST:PORT``.
        reuse_port: whether others may listen on the same address.
        environment: holds systemd's number of sockets.

    Raises:
        ListenError: the address cannot be listened on.
    """
    if environment.get("LISTEN_PID") == str(os.getpid()):
        numbers = range(_FIRST_INHERITED, _FIRST_INHERITED + int(environment.get("LISTEN_FDS", "0")))
        return [Listener(socket.socket(fileno=number), shared=True) for number in numbers]
    opened = listening_socket(parse_address(listen), BACKLOG, reuse_port=reuse_port)
    return [Listener(opened, beside_others=reuse_port)]
