"""Publishing: a tenant's snapshot into Redis, whole or not at all.

The blob is there first, under a key of its own (see ``shipping``); then the pointer moves, in one step that also tells
the servers, and only if nobody else moved it meanwhile and this loader still leads. Whoever dies in between leaves a
blob that nothing points to, and the next publication's pruning takes it away.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from loader.errors import PublishError
from loader.publishing.redis_errors import translated
from loader.publishing.shipping import Shipper
from pdp.rules.errors import SnapshotError
from pdp.rules.publication.keys import DEFAULT_PREFIX, Keys
from pdp.rules.publication.pointer import Pointer
from pdp.rules.publication.scripts import NAMING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis import Redis

    from loader.publishing.lease import Lease

DEFAULT_KEEP = 5

_MOVE_POINTER = (
    NAMING
    + """
if ARGV[5] ~= '' and call('GET', KEYS[2]) ~= ARGV[5] then return -1 end
local found = call('HGET', KEYS[1], ARGV[1]) or ''
if found ~= ARGV[2] then return 0 end
call('HSET', KEYS[1], ARGV[1], ARGV[3])
call('PUBLISH', ARGV[4], ARGV[1])
return 1
"""
)


@dataclass(frozen=True, slots=True)
class Standing:
    """What is published of a tenant.

    Attributes:
        raw: the pointer as it was found; empty where there is none.
        serial: the highest one known; 0 where there is none.
        pointer: what stands, if it can be used: None where there is nothing, where the blob is missing, and where the
            pointer is not signed with this deployment's key.
    """

    raw: bytes = b""
    serial: int = 0
    pointer: Pointer | None = None

    @property
    def current(self) -> Pointer | None:
        """The pointer of a tenant that is there; None of one that is gone."""
        return self.pointer if self.pointer is not None and not self.pointer.removed else None

    def next_serial(self) -> int:
        """Above what was ever given, be it that Redis lost its data: the time goes on in any case.

        In milliseconds, since servers refuse a serial that is not above the one that they have, and a burst of edits
        must not carry the serials ahead of a clock that ticks once a second.
        """
        return max(self.serial + 1, time.time_ns() // 1_000_000)


class Publisher(Protocol):
    """Where compiled rules go."""

    name: str
    """As people are told; without credentials."""

    def standing(self) -> Mapping[str, Standing]:
        """What is published, by tenant.

        Raises:
            PublishError: nobody can tell.
        """

    def publish(self, pointer: Pointer, blob: bytes, standing: Standing) -> None:
        """Makes ``blob`` the current revision of its tenant, in place of what stands.

        Raises:
            PublishError: it did not become current; what stood still stands.
        """

    def remove(self, pointer: Pointer, standing: Standing) -> None:
        """Tells everybody that a tenant is gone.

        Raises:
            PublishError: nobody was told.
        """


class RedisPublisher:
    """Publishes into Redis.

    Args:
        client: a connected client that returns bytes.
        name: the server's name in messages.
        by: who publishes, as operators will read it beside a revision.
        secret: the deployment's key, which signs the pointers; None: they are not signed.
        prefix: of every key.
        keep: how many revisions of a tenant to keep, the current one among them; at least 1.
        lease: this loader's claim to lead, without which no pointer moves; None: whoever comes may move it.
    """

    def __init__(
        self,
        client: Redis,
        name: str,
        *,
        by: str = "rightcall load",
        secret: bytes | None = None,
        prefix: str = DEFAULT_PREFIX,
        keep: int = DEFAULT_KEEP,
        lease: Lease | None = None,
    ) -> None:
        self.name = name
        self._client = client
        self._by = by
        self._secret = secret
        self._keys = Keys(prefix)
        self._keep = keep
        self._lease = lease
        self._shipper = Shipper(client, self._keys)

    def standing(self) -> dict[str, Standing]:
        """What the pointers say, by tenant, and whether their blobs are there."""
        with translated(self.name):
            found = cast("dict[bytes, bytes]", self._client.hgetall(self._keys.pointers))
            standing = {tenant.decode("utf-8", "replace"): self._read(tenant, raw) for tenant, raw in found.items()}
            current = [(tenant, stands, pointer) for tenant, stands in standing.items() if (pointer := stands.current)]
            pipeline = self._client.pipeline(transaction=False)
            for tenant, _, pointer in current:
                pipeline.exists(self._keys.snapshot(tenant, pointer.revision.number))
            for (tenant, stands, _), exists in zip(current, pipeline.execute(), strict=True):
                if not exists:  # evicted, or Redis came back from an old dump
                    standing[tenant] = Standing(stands.raw, stands.serial)
        return standing

    def publish(self, pointer: Pointer, blob: bytes, standing: Standing) -> None:
        """Ships the blob, then moves the pointer, then drops what is older than the revisions to keep."""
        tenant, revision = pointer.tenant, pointer.revision
        about = {
            "number": revision.number,
            "digest": revision.digest,
            "permissions": pointer.permissions,
            "size": len(blob),
            "published_at": time.time(),
            "by": self._by,
        }
        with translated(self.name):
            current = standing.current.revision if standing.current else None
            self._shipper.ship(tenant, revision, blob, json.dumps(about), current)
            self.move(pointer, standing)
            self._prune(tenant)

    def remove(self, pointer: Pointer, standing: Standing) -> None:
        """Moves the pointer to nowhere. The last revisions stay, to roll back to."""
        self._shipper.forget(pointer.tenant)
        self.move(pointer, standing)

    def move(self, pointer: Pointer, standing: Standing) -> None:
        """Moves a pointer from where it stands, and tells the servers.

        Raises:
            PublishError: it was moved by somebody else meanwhile, or this loader does not lead any more.
        """
        with translated(self.name):
            token = self._lease.token if self._lease else b""
            keys = (self._keys.pointers, self._keys.leader)
            args = (pointer.tenant, standing.raw, pointer.dump(self._secret), self._keys.changes, token)
            # Without a token there is no lead to ask Redis about.
            moved = self._client.eval(_MOVE_POINTER, len(keys), *keys, *args) if token or self._lease is None else -1
        if moved == -1:
            leader = f" ({self._lease.leader})" if self._lease and self._lease.leader else ""
            raise PublishError(f"tenant {pointer.tenant} is not published: another loader leads now{leader}")
        if moved == 0:
            raise PublishError(
                f"tenant {pointer.tenant} was published to {self.name} by somebody else at the same time; "
                "the next cycle looks again"
            )

    def _read(self, tenant: bytes, raw: bytes) -> Standing:
        """A pointer. One that cannot be trusted is published over, with a serial above the one that it claims."""
        name = tenant.decode("utf-8", "replace")
        try:
            pointer = Pointer.load(name, raw, (self._secret,) if self._secret else ())
        except SnapshotError:
            return Standing(raw, _claimed_serial(name, raw))
        return Standing(raw, pointer.serial, pointer)

    def _prune(self, tenant: str) -> None:
        index = self._keys.revisions(tenant)
        old = cast("list[tuple[bytes, float]]", self._client.zrange(index, 0, -self._keep - 1, withscores=True))
        if old:
            pipeline = self._client.pipeline(transaction=True)
            numbers = [int(number) for _, number in old]
            pipeline.unlink(
                *(key(tenant, number) for number in numbers for key in (self._keys.snapshot, self._keys.delta))
            )
            pipeline.zrem(index, *(about for about, _ in old))
            pipeline.execute()


def _claimed_serial(tenant: str, raw: bytes) -> int:
    try:
        return Pointer.load(tenant, raw).serial
    except SnapshotError:
        return 0
