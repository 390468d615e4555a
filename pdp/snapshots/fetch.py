"""Fetching the blob of a revision from Redis: by delta where the base is loaded, else whole; always in pieces.

Fetched blobs are not verified here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from pdp.rules.errors import SnapshotTruncated
from pdp.rules.publication.delta import WORTHWHILE, Delta
from pdp.rules.snapshot.blob import PIECE
from pdp.snapshots.memory import filled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from pdp.metrics.registry import Metrics
    from pdp.rules.publication.keys import Keys
    from pdp.rules.publication.pointer import Pointer
    from pdp.rules.snapshot.blob import Blob
    from pdp.rules.snapshot.snapshot import Snapshot

_LONGEST_CHAIN = 8
"""Deltas that are applied one after the other, where several revisions were published while one was loaded."""


class Fetcher:
    """Fetches blobs.

    Args:
        client: a connected client that returns bytes.
        keys: the names of the keys.
        metrics: counts fetched blobs.
    """

    def __init__(self, client: Redis, keys: Keys, metrics: Metrics) -> None:
        self._client = client
        self._keys = keys
        self._metrics = metrics

    def patched(self, pointer: Pointer, held: Snapshot) -> Blob | None:
        """A pointer's blob, made from the loaded one; None where no delta leads there.

        Args:
            pointer: to the revision wanted.
            held: the loaded snapshot.

        Raises:
            SnapshotError: a delta cannot be used.
        """
        if held.size < WORTHWHILE:
            return None
        blob = held.blob
        for delta in self._chain(pointer, held.revision.number):
            if not delta.fits(blob):
                return None
            blob = filled(delta.size, delta.pieces(blob))
        return None if blob is held.blob else blob

    def whole(self, pointer: Pointer) -> Blob | None:
        """A pointer's blob; None where Redis does not have the blob.

        Args:
            pointer: to the revision that is wanted.

        Raises:
            SnapshotTruncated: the blob got shorter meanwhile.
        """
        key = self._keys.snapshot(pointer.tenant, pointer.revision.number)
        size = self._client.strlen(key)
        if not size:
            return None
        blob = filled(size, self._pieces(key, size))
        self._metrics.fetched("snapshot", size)
        return blob

    def _chain(self, pointer: Pointer, base: int) -> list[Delta]:
        """The deltas that lead from revision ``base`` to the pointer's, in order; none where no chain leads there."""
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
        for at in range(0, size, PIECE):
            piece = cast("bytes", self._client.getrange(key, at, min(at + PIECE, size) - 1))
            if len(piece) != min(PIECE, size - at):
                raise SnapshotTruncated(size, at + len(piece))
            yield piece
