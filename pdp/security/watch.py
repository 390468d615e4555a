"""Files that are reloaded when changed. Each use of the value checks the files; no thread watches."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

import structlog

from pdp.errors import SecurityError
from pdp.runtime.files import UnsuitableFile, read_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pdp.metrics.registry import Metrics

_log = structlog.get_logger()

LOOK_SECONDS = 1.0
"""Seconds between two looks at the files."""
MAX_FILE_SIZE = 4 * 1024 * 1024

T = TypeVar("T")
_Stamp = tuple[tuple[int, int, int] | None, ...]


class Watched(Generic[T]):
    """A value read from files, at most a second old. A change that cannot be used leaves the last good value.

    Args:
        kind: name of the files' kind, for the log and the metric.
        paths: the files.
        read: makes the value of the files; raises ``SecurityError``.
        metrics: where attempts to read changed files are counted.

    Raises:
        SecurityError: the files cannot be used now, at the start.
    """

    def __init__(self, kind: str, paths: Sequence[str], read: Callable[[], T], metrics: Metrics) -> None:
        self._kind = kind
        self._paths = paths
        self._read = read
        self._metrics = metrics
        self._looking = threading.Lock()
        self._stamp = _stamp(paths)
        self._value = read()
        self._next = time.monotonic() + LOOK_SECONDS

    def get(self) -> T:
        """The value. Changed files are read in the background: a call must not wait for reading."""
        if time.monotonic() >= self._next and self._looking.acquire(blocking=False):
            self._next = time.monotonic() + LOOK_SECONDS
            stamp = _stamp(self._paths)
            if stamp == self._stamp:
                self._looking.release()
            else:
                self._stamp = stamp
                threading.Thread(target=self._replace, name=f"read-{self._kind}", daemon=True).start()
        return self._value

    def _replace(self) -> None:
        try:
            self._value = self._read()
        except Exception as error:  # noqa: BLE001 - whatever the error, the last good value stays
            self._metrics.reload(self._kind, "failure", "unusable")
            ours = not isinstance(error, SecurityError)
            _log.warning(
                "security_files_refused", kind=self._kind, problem=str(error), kept="the previous ones", exc_info=ours
            )
        else:
            self._metrics.reload(self._kind, "success")
            _log.info("security_files_read", kind=self._kind, files=list(self._paths))
        finally:
            self._looking.release()


def read_file(path: str, what: str) -> bytes:
    """A whole file.

    Raises:
        SecurityError: the file cannot be read, is not regular, or is far too large.
    """
    try:
        return read_regular(path, MAX_FILE_SIZE)
    except UnsuitableFile as error:
        raise SecurityError(
            f"{what} {path!r} cannot be used: {error.strerror}; check that it is the right file"
        ) from None
    except (OSError, ValueError) as error:
        problem = error.strerror if isinstance(error, OSError) else error
        raise SecurityError(f"{what} {path!r} cannot be read: {problem}; check the path and its permissions") from None


def _stamp(paths: Sequence[str]) -> _Stamp:
    return tuple(_stamp_one(path) for path in paths)


def _stamp_one(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - once a second for a string; a Path would be made for it each time
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
