"""Files named in options: regular ones, of a bounded size."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

MAX_SMALL_FILE: Final = 1024 * 1024
"""Bytes of a file that holds keys, a password or a token."""


class UnsuitableFile(OSError):
    """A file that is not regular, or far too large; ``strerror`` says which."""


def read_regular(path: str | Path, most: int = MAX_SMALL_FILE) -> bytes:
    """A whole file. A device or a pipe could have no end, or never begin.

    Raises:
        OSError: the file cannot be read, is not regular, or has more than ``most`` bytes.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UnsuitableFile(0, "it is not a regular file", str(path))
        data = file.read(most + 1)
    if len(data) > most:
        raise UnsuitableFile(0, f"it has more than {most:,} bytes", str(path))
    return data
