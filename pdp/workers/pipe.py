"""Messages between supervisor and worker: one JSON object each, some with an open file.

Both ends are processes of one user; no other process can reach the socket pair.
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
"""Seconds without reading after which the other end counts as stuck."""


class Message(NamedTuple):
    """A message from the other end.

    Attributes:
        kind: the message's kind.
        fields: the other members.
        file: an open file sent along, for the receiver to close; -1: none.
    """

    kind: str
    fields: dict[str, Any]
    file: int


class Gone(Exception):
    """The other end is not there any more, or does not listen."""


class Channel:
    """One end of a channel.

    Args:
        end: of a pair of SOCK_SEQPACKET sockets.
    """

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._socket.settimeout(_SEND_SECONDS)

    @staticmethod
    def pair() -> tuple[Channel, socket.socket]:
        """One end of a channel, and the socket from which another process makes the other end."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return Channel(ours), theirs

    def fileno(self) -> int:
        """The file descriptor, for selectors."""
        return self._socket.fileno()

    def send(self, kind: str, fields: Mapping[str, Any] | None = None, *, file: int = -1) -> None:
        """Sends a message.

        Raises:
            Gone: the other end is closed.
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
        """The next message of the other end; None after a timeout.

        Args:
            seconds: time to wait; None: for ever.

        Raises:
            Gone: the other end is closed.
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
        """Closes the channel; the other end notices."""
        self._socket.close()


def close_file(number: int) -> None:
    """Closes an open file, if there is one."""
    if number >= 0:
        os.close(number)
