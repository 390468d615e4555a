"""A peer that sends as much of a message as the server's windows allow, and then stops."""

from __future__ import annotations

import socket
import threading
import time
from collections import defaultdict
from typing import Self

from hostile import ACK, END_STREAM, Kind, greeting, opened
from load.http2 import frame
from server import DEADLINE

_PATIENCE = 0.02
"""Seconds for which it waits for a window to grow."""
_LARGEST_WINDOW = 2**31 - 1
_FIRST_WINDOW = 65_535
_FRAME = 16_384


class FlowingPeer:
    """A connection that minds the flow control; as a context manager, it closes at the end of the block.

    Args:
        address: of the server.
        source: its own address; "": any.
    """

    def __init__(self, address: str, *, source: str = "") -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), DEADLINE, (source, 0) if source else None)
        self._socket.settimeout(None)
        self._window = _FIRST_WINDOW
        self._initial = _FIRST_WINDOW
        self._grown: defaultdict[int, int] = defaultdict(int)
        self._over: set[int] = set()
        self._changed = threading.Condition()
        self._greeted = threading.Event()
        self._next = 1
        self._socket.sendall(greeting(_LARGEST_WINDOW))
        threading.Thread(target=self._read, daemon=True).start()
        assert self._greeted.wait(DEADLINE)

    def begin(self, path: str, message: bytes) -> int:
        """Opens a call, and sends what is taken of its message; returns how many bytes that was."""
        stream, self._next = self._next, self._next + 2
        self._socket.sendall(opened(stream, path=path))
        sent, until = 0, time.monotonic() + _PATIENCE
        while sent < len(message):
            with self._changed:
                room = min(self._window, self._initial + self._grown[stream], _FRAME, len(message) - sent)
                if stream in self._over or (room <= 0 and time.monotonic() > until):
                    return sent
                if room <= 0:
                    self._changed.wait(_PATIENCE)
                    continue
                self._window -= room
                self._grown[stream] -= room
            self._socket.sendall(frame(Kind.DATA, 0, stream, message[sent : sent + room]))
            sent, until = sent + room, time.monotonic() + _PATIENCE
        return sent

    def __enter__(self) -> Self:
        """The peer itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the connection."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _read(self) -> None:
        with self._socket.makefile("rb") as stream:
            try:
                while head := stream.read(9):
                    self._take(head[3], head[4], number_of(head[5:9]), stream.read(number_of(head[:3])))
            except (OSError, ValueError):  # closed, by whichever side
                return

    def _take(self, kind: int, flags: int, stream: int, data: bytes) -> None:
        with self._changed:
            if kind == Kind.SETTINGS and not flags & ACK:
                for at in range(0, len(data), 6):
                    if number_of(data[at : at + 2]) == 4:
                        self._initial = number_of(data[at + 2 : at + 6])
                self._greeted.set()
            elif kind == Kind.WINDOW and stream:
                self._grown[stream] += number_of(data)
            elif kind == Kind.WINDOW:
                self._window += number_of(data)
            elif kind == Kind.RESET or (kind == Kind.HEADERS and flags & END_STREAM):
                self._over.add(stream)
            self._changed.notify_all()


def number_of(data: bytes) -> int:
    """The number that some bytes stand for."""
    return int.from_bytes(data, "big")
