"""Files named in options: read where they are regular ones of a bounded size, written for their owner alone."""

from __future__ import annotations

import io
import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from mmap import mmap
    from typing import TextIO

MAX_SMALL_FILE: Final = 1024 * 1024
"""Bytes of a file that holds keys, a password or a token."""
MAX_TABLE: Final = 64 * 1024 * 1024
"""Bytes of a table that people write."""
MAX_LINE: Final = 1024 * 1024
"""Characters of a line of records."""
UNFINISHED: Final = ".unfinished"
"""The end of the names of files that are not whole yet; one that is left over can be removed."""


class UnsuitableFile(OSError):
    """A file that is not regular, or far too large; ``strerror`` says which."""


def open_regular(path: str | os.PathLike[str]) -> io.BufferedReader:
    """A file, to be read. A device or a pipe could have no end, or never begin.

    Raises:
        OSError: the file cannot be read, or is not regular.
    """
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise UnsuitableFile(0, "it is not a regular file", os.fspath(path))
    return file


def open_text(path: str | os.PathLike[str], *, errors: str = "strict") -> TextIO:
    """A text file with or without a byte order mark, as ``open_regular``."""
    return io.TextIOWrapper(open_regular(path), encoding="utf-8-sig", errors=errors, newline="")


def lines_of(file: TextIO, path: str | os.PathLike[str]) -> Iterator[str]:
    """The lines of a text file.

    Raises:
        OSError: a line has more than ``MAX_LINE`` characters.
    """
    while line := file.readline(MAX_LINE + 1):
        if len(line) > MAX_LINE:
            raise UnsuitableFile(0, f"it has a line of more than {MAX_LINE:,} characters", os.fspath(path))
        yield line


def write_private(path: str | os.PathLike[str], text: str) -> None:
    """Writes a file that nobody but its owner may read, whatever the file that was there let others do.

    The file is there as a whole or not at all. A link goes on leading to it; a device or a pipe is written to as it is.

    Raises:
        OSError: the file cannot be written.
    """
    place = Path(path).resolve()
    if place.exists() and not place.is_file():
        place.write_text(text, encoding="utf-8")
        return
    replace_file(place, text.encode())


def replace_file(path: Path, content: bytes | mmap) -> None:
    """Puts a file, with mode 0600, in the place of another: as a whole, or not at all.

    Until it is whole it has another name, which ends in ``UNFINISHED``.

    Raises:
        OSError: the file cannot be written.
    """
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=UNFINISHED, delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def read_regular(path: str | os.PathLike[str], most: int = MAX_SMALL_FILE) -> bytes:
    """A whole file.

    Raises:
        OSError: the file cannot be read, is not regular, or has more than ``most`` bytes.
    """
    with open_regular(path) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise UnsuitableFile(0, f"it has more than {most:,} bytes", os.fspath(path))
    return data
