"""Getting the blob of a revision out of Redis: by its delta where its base is held, else whole; never in one breath.

What is fetched is not verified here. A large blob lies in memory of its own, outside Python's heap: it is filled piece
by piece, so that whoever answers calls never waits for the interpreter's lock longer than one piece takes, and the
system takes it back without that lock.
"""

from __future__ import annotations

import mmap
import time
from typing import TYPE_CHECKING, cast

from pdp.rules.delta import WORTHWHILE, Delta
from pdp.rules.errors import SnapshotTruncated

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from redis import Redis

    from pdp.metrics import Metrics
    from pdp.rules.blob import Blob, Buffer
    from pdp.rules.keys import Keys
    from pdp.rules.pointer import Pointer
    from pdp.rules.snapshot import Snapshot

_PIECE = 1 << 20
"""Bytes that are fetched at once."""
_LARGE = 1 << 20
"""Bytes from which on a blob gets memory of its own; below, copying and freeing it is a matter of microseconds."""
_LONGEST_CHAIN = 8
"""Deltas that are applied one after the other, where several revisions were published while one was loaded."""
_BREATH = 0.00002
"""Seconds that the interpreter's lock is left to others after each piece: as short as it may be and yet be taken."""


class Fetcher:
    """Fetches blobs.

    Args:
        client: a connected client that returns bytes.
        keys: the names of the keys.
        metrics: counts what was fetched.
    """

    def __init__(self, client: Redis, keys: Keys, metrics: Metrics) -> None:
        self._client = client
        self._keys = keys
        self._metrics = metrics

    def patched(self, pointer: Pointer, held: Snapshot) -> Blob | None:
        """The blob that a pointer leads to, made of the one that is held; None where no delta leads there.

        Raises:
            SnapshotError: a delta cannot be used.
        """
        if held.size < WORTHWHILE:
            return None
        blob = held.blob
        for delta in self._chain(pointer, held.revision.number):
            if not delta.fits(blob):
                return None
            blob = assembled(delta.size, delta.pieces(blob))
        return None if blob is held.blob else blob

    def whole(self, pointer: Pointer) -> Blob | None:
        """The blob that a pointer leads to; None where Redis does not have it.

        Raises:
            SnapshotTruncated: it got shorter meanwhile.
        """
        key = self._keys.snapshot(pointer.tenant, pointer.revision.number)
        size = self._client.strlen(key)
        if not size:
            return None
        blob = assembled(size, self._pieces(key, size))
        self._metrics.fetched("snapshot", size)
        return blob

    def _chain(self, pointer: Pointer, base: int) -> list[Delta]:
        """The deltas that lead from revision ``base`` to the pointer's, in their order; none where they do not."""
        chain: list[Delta] = []
        number = pointer.revision.number
        while number > base and len(chain) < _LONGEST_CHAIN:
            raw = self._client.get(self._keys.delta(pointer.tenant, number))
            if not isinstance(raw, bytes):
                return []
            self._metrics.fetched("delta", len(raw))
            chain.append(Delta.load(raw))
            number = chain[-1].base_number
        return chain[::-1] if number == base else []

    def _pieces(self, key: str, size: int) -> Iterator[bytes]:
        for at in range(0, size, _PIECE):
            piece = cast("bytes", self._client.getrange(key, at, min(at + _PIECE, size) - 1))
            if len(piece) != min(_PIECE, size - at):
                raise SnapshotTruncated(size, at + len(piece))
            yield piece


def assembled(size: int, pieces: Iterable[Buffer]) -> Blob:
    """Puts the pieces of a blob together.

    Args:
        size: bytes of all of them together.
        pieces: its parts in their order.
    """
    if size < _LARGE:
        return b"".join(pieces)
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):  # on Linux: an eighth of the time to fill, and quicker look-ups
        memory.madvise(mmap.MADV_HUGEPAGE)
    at = 0
    for piece in pieces:
        memory[at : at + len(piece)] = piece
        at += len(piece)
        time.sleep(_BREATH)
    return memory
