"""As much of HTTP/2 as a client needs that asks many unary gRPC calls, and no more, so that Python can ask fast enough.

Frames are put together beforehand, but for the number of the stream. From the second call on, a call's headers are six
bytes that refer to the first one's, as any client does it that compresses headers. Of answers only the frames are
looked at: a call has succeeded when its stream has ended after a message, as calls that fail have none.
"""

from __future__ import annotations

import socket
import struct
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4
_HEADER = struct.Struct(">HBBBI")
"""Of a frame: the length's upper two bytes and its lowest, the type, the flags, the stream."""
_HEADER_TABLE_SIZE, _MOST_STREAMS = 1, 3
_TABLE_BYTES: Final = 512
"""What the headers of a call take in the server's table, generously."""
_FIRST_WINDOW: Final = 65_535
_LARGEST_WINDOW: Final = 2**31 - 1
_NO_LIMIT: Final = 2**31 - 1
_READ_BYTES: Final = 1 << 18
REFERENCES: Final = b"\x83\x86\xc1\xc0\xbf\xbe"
""":method POST and :scheme http from the static table, then what the first call put into the dynamic one."""


class Question(NamedTuple):
    """A request as it is sent: what stands before the stream's number, between the first and the second, and behind.

    Attributes:
        before: the start of the frame with the headers.
        between: the headers, and the start of the frame with the message.
        message: the message behind its gRPC prefix.
    """

    before: bytes
    between: bytes
    message: bytes


class ConnectionLost(ConnectionError):
    """The server ended the connection, or never began it."""


def questions(requests: Iterable[bytes]) -> list[Question]:
    """Serialized requests, as they are sent from the second one of a connection on."""
    return [_question(request, REFERENCES) for request in requests]


class Connection:
    """A connection, for one caller at a time; sending and receiving never wait.

    Args:
        host: of the server.
        port: of the server.
        path: of the method, as in ``/package.Service/Method``.
        with_message: whether only answers with a message count as such; else any that ends a stream does.

    Attributes:
        socket: for who waits until something has come.
        started: of each call in the order in which they were asked, when; the caller appends.
        finished: of each that was answered, in the order of the answers, its number in ``started`` and the time.
        failed: how many ended without an answer.
        most: how many calls the server lets be in flight.

    Raises:
        ConnectionLost: it speaks no HTTP/2, or not enough of it.
    """

    def __init__(self, host: str, port: int, path: str, *, with_message: bool = True) -> None:
        self.started: list[float] = []
        self.finished: list[tuple[int, float]] = []
        self.failed = 0
        self.most = _NO_LIMIT
        self._with_message = with_message
        self._first_headers = first_headers(path, f"{host}:{port}")
        self._asked = 0
        self._window = _FIRST_WINDOW
        self._taken = 0
        """Bytes of messages received since the server was last told that more may come."""
        self._open: set[int] = set()
        """Streams that have not ended."""
        self._answered: set[int] = set()
        """Those of them that have had their message."""
        self._rest = b""
        self._out = bytearray()
        self.socket = socket.create_connection((host, port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._greet()
        except OSError:
            self.close()
            raise

    def ask(self, question: Question, due: float) -> bool:
        """Puts a request where ``flush`` sends it from.

        Args:
            question: what to ask.
            due: from when on its answer is waited for.

        Returns:
            False if the server takes no more at the moment, by flow control or by its limit of streams; then nothing
            has changed.
        """
        before, between, message = question
        if len(message) > self._window or len(self._open) >= self.most:
            return False
        if not self._asked:
            before, between, message = _question(message[5:], self._first_headers)
        stream = (2 * self._asked + 1).to_bytes(4, "big")
        self._out += before + stream + between + stream + message
        self._window -= len(message)
        self._open.add(2 * self._asked + 1)
        self._asked += 1
        self.started.append(due)
        return True

    @property
    def pending(self) -> int:
        """Calls that are neither answered nor failed."""
        return len(self._open)

    def flush(self) -> None:
        """Sends what there is to be sent, as far as the socket takes it."""
        if self._out:
            with suppress(BlockingIOError):
                del self._out[: self.socket.send(self._out)]

    def receive(self) -> None:  # noqa: C901 - one function, for speed
        """Takes in what has come.

        Raises:
            ConnectionLost: the server ended the connection.
        """
        try:
            data = self.socket.recv(_READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            raise ConnectionLost("the server closed the connection; does it speak HTTP/2 without TLS?")
        now = time.perf_counter()
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data) - 8
        finished, open_, answered = self.finished, self._open, self._answered
        while at < end:
            upper, lower, kind, flags, stream = _HEADER.unpack_from(data, at)
            body = at + 9
            following = body + (upper << 8 | lower)
            if following > end + 8:
                break
            if kind == _DATA:
                self._taken += following - at
                answered.add(stream)
            elif kind != _HEADERS:
                self._control(kind, flags, stream, data[body:following])
            if flags & _END_STREAM and kind <= _HEADERS:
                if stream in answered or not self._with_message:
                    finished.append((stream >> 1, now))
                    open_.discard(stream)
                    answered.discard(stream)
                else:
                    self._fail(stream)
            at = following
        self._rest = data[at:]
        if self._taken > _LARGEST_WINDOW // 2:
            self._out += frame(_WINDOW, 0, 0, self._taken.to_bytes(4, "big"))
            self._taken = 0

    def close(self) -> None:
        """Closes it."""
        self.socket.close()

    def _greet(self) -> None:
        """Says hello, and waits until the server has."""
        more = (_LARGEST_WINDOW - _FIRST_WINDOW).to_bytes(4, "big")
        self.socket.sendall(PREFACE + frame(_SETTINGS, 0, 0, b"") + frame(_WINDOW, 0, 0, more))
        try:
            while not self._out:  # the acknowledgement of its settings
                self.receive()
        except TimeoutError:
            raise ConnectionLost("the server does not speak HTTP/2") from None
        self.socket.settimeout(0)

    def _fail(self, stream: int) -> None:
        """A stream is over without an answer, unless it was over before: a server may reset one behind its answer."""
        if stream in self._open:
            self.failed += 1
            self._open.discard(stream)
            self._answered.discard(stream)

    def _control(self, kind: int, flags: int, stream: int, body: bytes) -> None:
        """A frame that belongs to no answer."""
        if kind == _WINDOW:
            if not stream:
                self._window += int.from_bytes(body, "big")
        elif kind == _RESET:
            self._fail(stream)
        elif kind == _GOAWAY:
            raise ConnectionLost(f"the server ended the connection: {body[8:].decode(errors='replace')}")
        elif kind == _SETTINGS and not flags & _ACK:
            settings = dict(struct.iter_unpack(">HI", body))
            if settings.get(_HEADER_TABLE_SIZE, 4096) < _TABLE_BYTES:
                raise ConnectionLost("the server remembers no headers")
            self.most = settings.get(_MOST_STREAMS, self.most)
            self._out += frame(_SETTINGS, _ACK, 0, b"")
        elif kind == _PING and not flags & _ACK:
            self._out += frame(_PING, _ACK, 0, body)


def _question(request: bytes, headers: bytes) -> Question:
    message = b"\0" + len(request).to_bytes(4, "big") + request
    return Question(
        before=_header(_HEADERS, _END_HEADERS, len(headers)),
        between=headers + _header(_DATA, _END_STREAM, len(message)),
        message=message,
    )


def first_headers(path: str, authority: str) -> bytes:
    """The headers of a connection's first call, which the server remembers: four, the last of which is the nearest."""
    return (
        b"\x83\x86"
        + (b"\x44" + _text(path))
        + (b"\x41" + _text(authority))
        + (b"\x5f" + _text("application/grpc"))
        + (b"\x40" + _text("te") + _text("trailers"))
    )


def _text(text: str) -> bytes:
    return bytes((len(text),)) + text.encode("ascii")  # shorter than 127, as the length is in seven bits


def _header(kind: int, flags: int, length: int) -> bytes:
    return length.to_bytes(3, "big") + bytes((kind, flags))


def frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    """A frame, whatever its kind."""
    return _header(kind, flags, len(body)) + stream.to_bytes(4, "big") + body
