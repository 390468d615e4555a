"""Working on something large beside threads that serve calls."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")
PIECE = 1 << 18
"""Bytes that are copied or hashed at once: a fraction of a millisecond."""
_PAUSE = 3.0
"""The pause, as a multiple of a piece's time: serving may need half of a processor, and the system halves the rest."""
_LEAST, _MOST = 0.00002, 0.01
"""The shortest pause that has an effect, and the longest, where a piece was waited for, not worked on; in seconds."""


def paced(pieces: Iterable[T]) -> Iterator[T]:
    """The pieces, with a pause behind each in proportion to the time for making and processing that piece."""
    begun = time.perf_counter()
    for piece in pieces:
        yield piece
        time.sleep(min(max(_LEAST, _PAUSE * (time.perf_counter() - begun)), _MOST))
        begun = time.perf_counter()
