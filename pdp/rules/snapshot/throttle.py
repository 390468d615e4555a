"""Working on something large beside somebody who answers calls."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")
PIECE = 1 << 18
"""Bytes that are copied or hashed at once: a fraction of a millisecond."""
_PAUSE = 3.0
"""Of the time that a piece took: who answers calls may need half of a processor, and the system halves the rest."""
_LEAST, _MOST = 0.00002, 0.01
"""Seconds of a pause: as short as it may be and yet be taken; and where a piece was waited for, not worked on."""


def paced(pieces: Iterable[T]) -> Iterator[T]:
    """The pieces, with a pause behind each in proportion to the time that it took to make and to work on."""
    begun = time.perf_counter()
    for piece in pieces:
        yield piece
        time.sleep(min(max(_LEAST, _PAUSE * (time.perf_counter() - begun)), _MOST))
        begun = time.perf_counter()
