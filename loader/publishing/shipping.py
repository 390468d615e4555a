"""Ships the blob of a revision into Redis, with as few bytes as the last blob allows.

If Redis holds the revision that this loader published last, only the delta is sent (see
``pdp.rules.publication.delta``), and a script builds the new blob from the old one inside Redis, in tens of
milliseconds for a large one. Otherwise the blob is sent whole. The delta is kept beside the blob in either case, for
the servers that hold the base.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from redis.exceptions import ResponseError

from pdp.rules.publication.delta import WORTHWHILE, make_delta
from pdp.rules.publication.scripts import NAMING

if TYPE_CHECKING:
    from collections.abc import Container

    from redis import Redis

    from pdp.rules.model import Revision
    from pdp.rules.publication.keys import Keys

_MOST_PATCHES = 100
"""After so many blobs built by Redis, one is sent whole: a bad byte in Redis does not stay for ever."""

# The numbers are those of the format in pdp.rules.delta, and where a blob's header has its checksum. COPY and SETRANGE
# reach replicas and the append-only file unchanged, so nothing large does.
_PATCH = (
    NAMING
    + """
local delta = ARGV[1]
local count, _, base_size = struct.unpack('<I4I8I8', delta, 13)
if call('STRLEN', KEYS[1]) ~= base_size then return 0 end
if call('GETRANGE', KEYS[1], 56, 87) ~= string.sub(delta, 41, 72) then return 0 end
call('COPY', KEYS[1], KEYS[2], 'REPLACE')
local at, new = 0, 105 + 24 * count
for step = 105, 104 + 24 * count, 24 do
  local from, length, bytes = struct.unpack('<I8I8I8', delta, step)
  if from ~= at then
    for done = 0, length - 1, 1048576 do
      local piece = math.min(1048576, length - done)
      call('SETRANGE', KEYS[2], at + done, call('GETRANGE', KEYS[1], from + done, from + done + piece - 1))
    end
  end
  at = at + length
  if bytes > 0 then call('SETRANGE', KEYS[2], at, string.sub(delta, new, new + bytes - 1)) end
  at, new = at + bytes, new + bytes
end
call('SET', KEYS[3], delta)
call('ZADD', KEYS[4], ARGV[2], ARGV[3])
return 1
"""
)


class _Base(NamedTuple):
    """The last shipped blob of a tenant."""

    number: int
    blob: bytes
    patches: int
    """Number of consecutive blobs built by Redis, up to this one."""


class Shipper:
    """Writes blobs, and remembers the last one of each tenant that is large.

    Args:
        client: a connected client.
        keys: the names of the keys.
    """

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._bases: dict[str, _Base] = {}

    def ship(self, tenant: str, revision: Revision, blob: bytes, about: str, current: Revision | None) -> None:
        """Adds a revision's blob to the kept ones.

        Args:
            tenant: the tenant's UUID.
            revision: the revision to ship.
            blob: the revision's blob.
            about: the entry for the tenant's sorted set of revisions.
            current: the revision that servers decide by; None: none, or unknown.
        """
        base = self._bases.pop(tenant, None)
        if base is not None and (current is None or base.number != current.number):
            base = None  # rolled back, or published by another loader: not the revision that servers hold
        delta = make_delta(base.blob, blob, base.number) if base else None
        patches = 0
        if base and delta and self._patch(tenant, revision, delta, about, base, len(blob)):
            patches = base.patches + 1
        else:
            self._write(tenant, revision, blob, about, delta)
        if len(blob) >= WORTHWHILE:
            self._bases[tenant] = _Base(revision.number, blob, patches)

    def forget(self, tenant: str) -> None:
        """Drops the memory of a tenant."""
        self._bases.pop(tenant, None)

    def prune(self, tenant: str, keep: int, used: Container[int]) -> None:
        """Drops the oldest revisions of a tenant.

        Args:
            tenant: the tenant's UUID.
            keep: number of the newest revisions that stay.
            used: the numbers of others that stay.
        """
        names = self._keys
        index = names.revisions(tenant)
        found = cast("list[tuple[bytes, float]]", self._client.zrange(index, 0, -keep - 1, withscores=True))
        old = {about: int(number) for about, number in found if int(number) not in used}
        if old:
            pipeline = self._client.pipeline(transaction=True)
            pipeline.unlink(*(key(tenant, number) for number in old.values() for key in (names.snapshot, names.delta)))
            pipeline.zrem(index, *old)
            pipeline.execute()

    def _patch(self, tenant: str, revision: Revision, delta: bytes, about: str, base: _Base, size: int) -> bool:
        """Has Redis build the blob; returns False without effect if that fails."""
        if base.patches >= _MOST_PATCHES or size < len(base.blob):  # no command of Redis cuts a string short
            return False
        names = self._keys
        keys = (
            names.snapshot(tenant, base.number),
            names.snapshot(tenant, revision.number),
            names.delta(tenant, revision.number),
            names.revisions(tenant),
        )
        try:
            made = self._client.eval(_PATCH, len(keys), *keys, delta, str(revision.number), about)
        except ResponseError:  # COPY is missing before Redis 6.2, or not allowed; SET reports any other failure
            return False
        return bool(made)

    def _write(self, tenant: str, revision: Revision, blob: bytes, about: str, delta: bytes | None) -> None:
        names = self._keys
        pipeline = self._client.pipeline(transaction=True)
        pipeline.set(names.snapshot(tenant, revision.number), blob)
        if delta is not None:
            pipeline.set(names.delta(tenant, revision.number), delta)
        pipeline.zadd(names.revisions(tenant), {about: revision.number})
        pipeline.execute()
