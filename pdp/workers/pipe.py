"""What supervisor and worker say to each other: one JSON object a message, and sometimes an open file with it.

Both ends are processes of one user, and nobody else can reach the socket pair between them.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_MESSAGE = 64 * 1024
_SEND_SECONDS = 5.0
"""Whoever does not read for so long is stuck."""


class Message(NamedTuple):
    """What the other end said.

    Attributes:
        kind: what it is about.
        fields: the rest of it.
        file: an open file that came with it, for the receiver to close; -1: none.
    """

    kind: str
    fields: dict[str, Any]
    file: int


class Gone(Exception):
    """The other end is not there any more, or does not listen."""


class Channel:
    """One end.

    Args:
        end: of a pair of SOCK_SEQPACKET sockets.
    """

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._socket.settimeout(_SEND_SECONDS)

    @staticmethod
    def pair() -> tuple[Channel, socket.socket]:
        """One end, and a socket that another process makes the other one of."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return Channel(ours), theirs

    def fileno(self) -> int:
        """For selectors."""
        return self._socket.fileno()

    def send(self, kind: str, fields: Mapping[str, Any] | None = None, *, file: int = -1) -> None:
        """Says something.

        Raises:
            Gone: nobody listens.
        """
        data = json.dumps({"kind": kind, **(fields or {})}).encode()
        try:
            if file >= 0:
                socket.send_fds(self._socket, [data], [file])
            else:
                self._socket.send(data)
        except OSError as error:
            raise Gone from error

    def receive(self, seconds: float | None) -> Message | None:
        """What the other end says next; None where it says nothing for so long.

        Args:
            seconds: how long to wait for it; None: for ever.

        Raises:
            Gone: it never will.
        """
        self._socket.settimeout(seconds)
        try:
            data, files, _, _ = socket.recv_fds(self._socket, _MAX_MESSAGE, 1)
        except TimeoutError:
            return None
        except OSError as error:
            raise Gone from error
        finally:
            with contextlib.suppress(OSError):
                self._socket.settimeout(_SEND_SECONDS)
        if not data:
            raise Gone
        fields = json.loads(data)
        return Message(fields.pop("kind"), fields, files[0] if files else -1)

    def close(self) -> None:
        """Lets go of it; the other end notices."""
        self._socket.close()


def close_file(number: int) -> None:
    """Closes an open file, if there is one."""
    if number >= 0:
        os.close(number)
