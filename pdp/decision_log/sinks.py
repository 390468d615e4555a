"""The sinks of a decision log: a file with rotation, a stream such as standard output, or a Redis stream."""

from __future__ import annotations

import logging
import os
import stat
from contextlib import suppress
from logging.handlers import RotatingFileHandler, WatchedFileHandler
from typing import TYPE_CHECKING, Final, TextIO

from pdp.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from redis import Redis

FIELD: Final = b"decision"
"""The field of a Redis stream's entry that holds the JSON object."""


_TOGETHER = 1 << 20
"""Characters that are written to a file together."""
_PIECES = 16
"""Smallest number of such pieces in a file before rotation."""


class SinkError(ServerError):
    """A decision log cannot be opened."""


class NullSink:
    """Keeps nothing: the log's watchers see the lines."""

    name = "nothing"

    def write(self, lines: Sequence[str]) -> None:
        """Forgets lines."""

    def close(self) -> None:
        """Nothing is open."""


class FileSink:
    """Appends to a file.

    Args:
        path: the file; made if missing, readable by owner and group.
        max_bytes: size at which the file is rotated; 0: another program rotates, such as logrotate. A moved or deleted
            file is opened again either way.
        keep: number of rotated files kept, ``PATH.1`` the youngest.

    Raises:
        SinkError: the file cannot be written.
    """

    def __init__(self, path: Path, *, max_bytes: int, keep: int) -> None:
        self.name = str(path)
        self._together = max_bytes // _PIECES if max_bytes else _TOGETHER
        try:
            path.touch(mode=0o640)
            _check_kind(path)
            # With no file to keep, the handler would never begin anew.
            self._handler: _Rotated | _Watched = (
                _Rotated(path, maxBytes=max_bytes, backupCount=max(1, keep), encoding="utf-8")
                if max_bytes
                else _Watched(path, encoding="utf-8")
            )
        except OSError as error:
            raise SinkError(
                f"the decision log {self.name!r} cannot be written: {error.strerror}; "
                "check that its directory exists and that the server may write there"
            ) from error

    def write(self, lines: Sequence[str]) -> None:
        """Appends lines.

        Raises:
            OSError: the lines could not be written.
        """
        self._handler.reopenIfNeeded()
        piece, size = list[str](), 0
        for line in lines:
            piece.append(line)
            size += len(line)
            if size >= self._together:
                self._emit(piece)
                piece, size = [], 0
        if piece:
            self._emit(piece)

    def _emit(self, lines: list[str]) -> None:
        self._handler.emit(logging.makeLogRecord({"msg": "\n".join(lines)}))

    def close(self) -> None:
        """Closes the file."""
        self._handler.close()


class TextSink:
    """Writes to a stream that is open, and stays so.

    Args:
        stream: such as ``sys.stdout``.
        name: of the stream.
    """

    def __init__(self, stream: TextIO, name: str) -> None:
        self.name = name
        self._stream = stream

    def write(self, lines: Sequence[str]) -> None:
        """Writes lines.

        Raises:
            OSError: the lines could not be written.
        """
        self._stream.write("".join(f"{line}\n" for line in lines))
        self._stream.flush()

    def close(self) -> None:
        """Leaves the stream open, for the opener to close."""


class RedisSink:
    """Adds entries to a Redis stream.

    Args:
        client: of the Redis; closed with the log.
        key: of the stream.
        name: of the Redis, without credentials.
        max_length: entries that the stream keeps, about; the oldest go first.
    """

    def __init__(self, client: Redis, key: str, *, name: str, max_length: int) -> None:
        self.name = f"{name}, stream {key}"
        self._client = client
        self._key = key
        self._max_length = max_length

    def write(self, lines: Sequence[str]) -> None:
        """Adds all entries in one round trip.

        Raises:
            RedisError: some entries could not be added.
        """
        pipeline = self._client.pipeline(transaction=False)
        for line in lines:
            pipeline.xadd(self._key, {FIELD: line.encode()}, maxlen=self._max_length, approximate=True)
        pipeline.execute()

    def close(self) -> None:
        """Ends the connection."""
        self._client.close()


def _check_kind(path: Path) -> None:
    """Raises OSError for a pipe or a socket: opening one waits for a reader, which may stop."""
    kind = path.stat().st_mode
    if not (stat.S_ISREG(kind) or stat.S_ISCHR(kind)):
        raise OSError(0, "it is not a regular file; for a program that reads along, pipe standard output to it")


class _Rotated(RotatingFileHandler):
    def reopenIfNeeded(self) -> None:  # noqa: N802 - as WatchedFileHandler has it
        """Opens the file again if the path names another file or none, such as after deletion on a full disk."""
        try:
            named = os.stat(self.baseFilename)  # noqa: PTH116 - a string, once a batch
            if self.stream is not None and os.path.samestat(named, os.fstat(self.stream.fileno())):
                return
        except FileNotFoundError:
            pass
        if self.stream is not None:
            with suppress(OSError):  # what could not be written before cannot be now
                self.stream.close()
            self.stream = None
        self.stream = self._open()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - the base class has it so
        """Raises, in place of a traceback on the terminal: the log counts the lines not written."""
        raise  # noqa: PLE0704 - called from within the base class's except


class _Watched(WatchedFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - the base class has it so
        """Raises, as above."""
        raise  # noqa: PLE0704 - as above
