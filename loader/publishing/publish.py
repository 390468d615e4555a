"""Publishing: a tenant's snapshot into Redis, whole or not at all.

The blob is there first, under a key of its own (see ``shipping``); then the pointer moves, in one step that also tells
the servers, and only if nobody else moved it meanwhile and this loader still leads. Whoever dies in between leaves a
blob that nothing points to, and the next publication's pruning takes it away.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, cast

from redis.exceptions import ResponseError

from loader.errors import PublishError
from loader.publishing.listing import TenantList
from loader.publishing.redis_errors import translated
from loader.publishing.shipping import Shipper
from pdp.rules.errors import SnapshotError
from pdp.rules.publication.keys import DEFAULT_SCOPE, Keys, Scope
from pdp.rules.publication.numbers import least_number, load_followed
from pdp.rules.publication.pointer import Pointer
from pdp.rules.publication.scripts import NAMING
from pdp.rules.snapshot.blob import HEAD_SIZE, is_whole

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
        least: the lowest serial that the next pointer may get, whatever was given before.
        listed: the manifest names the tenant, be its pointer there or not.
    """

    raw: bytes = b""
    serial: int = 0
    pointer: Pointer | None = None
    least: int = 0
    listed: bool = False

    @property
    def current(self) -> Pointer | None:
        """The pointer of a tenant that is there; None of one that is gone."""
        return self.pointer if self.pointer is not None and not self.pointer.removed else None

    def next_serial(self) -> int:
        """Above what was ever given, as far as anybody knows (see ``pdp.rules.publication.numbers``)."""
        return max(self.serial + 1, self.least or time.time_ns() // 1_000_000)


class Publisher(Protocol):
    """Where compiled rules go."""

    name: str
    """As people are told; without credentials."""

    def standing(self) -> Mapping[str, Standing]:
        """What is published, by tenant.

        Raises:
            PublishError: nobody can tell.
        """

    def list_tenants(self, expected: Mapping[str, int], *, complete: bool) -> None:
        """Says which tenants there are, so that nobody who follows takes one that is missing for one that is not.

        Args:
            expected: the tenants of the source; of one that is closed the number of its faults, else 0.
            complete: whether the source has no others.

        Raises:
            PublishError: it could not be said.
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
        scope: deployment and prefix of every key; signatures hold for it.
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
        scope: Scope = DEFAULT_SCOPE,
        keep: int = DEFAULT_KEEP,
        lease: Lease | None = None,
    ) -> None:
        self.name = name
        self._client = client
        self._by = by
        self._secret = secret
        self._keys = Keys(scope.prefix)
        self._keep = keep
        self._lease = lease
        self._scope = scope
        self._list = TenantList(client, name, self._keys, scope, secret, lease)
        self._pointers: dict[str, Pointer] = {}
        """By tenant, what stands and can be believed."""
        self._least = 0
        self._behind = False
        """Whether servers have followed higher numbers than any in Redis."""
        self._standing: dict[str, Standing] = {}
        """What ``standing`` returned last."""
        self._shipper = Shipper(client, self._keys)

    def standing(self) -> dict[str, Standing]:
        """What the pointers say, by tenant, and whether their blobs are there."""
        with translated(self.name):
            raws = self._look()
            standing = {tenant: self._read(tenant, raw) for tenant, raw in raws.items()}
            current = [(tenant, stands, pointer) for tenant, stands in standing.items() if (pointer := stands.current)]
            pipeline = self._client.pipeline(transaction=False)
            for tenant, _, pointer in current:
                key = self._keys.snapshot(tenant, pointer.revision.number)
                pipeline.strlen(key)
                pipeline.getrange(key, 0, HEAD_SIZE - 1)
            found = pipeline.execute(raise_on_error=False)
            for (tenant, stands, _), size, head in zip(current, found[::2], found[1::2], strict=True):
                if not is_whole(size, head):  # evicted, cut short, of another type, or Redis came back from an old dump
                    standing[tenant] = replace(stands, pointer=None)
            self._pointers = {tenant: one.pointer for tenant, one in standing.items() if one.pointer}
        for tenant in self._list.tenants.keys() - standing.keys():
            standing[tenant] = self._nothing(tenant)
        self._standing = standing
        return standing

    def list_tenants(self, expected: Mapping[str, int], *, complete: bool) -> None:
        """Signs the manifest and puts it into Redis, where it is not there already.

        Pointers of release 0.1, which do not say for which deployment and prefix they are, are published again, and so
        are all of them where servers have followed higher numbers than Redis knows. What ``standing`` returned last is
        brought up to date.
        """
        with translated(self.name):
            for tenant, stands in self._standing.items():
                pointer = stands.current
                again = pointer is not None and (self._behind or not pointer.bound)
                if pointer is not None and again and self._pointers.get(tenant) is pointer:
                    self._standing[tenant] = self._bind(stands, pointer)
            self._list.write(expected, self._pointers, complete=complete, least=self._least)
        for tenant in expected:
            self._standing.setdefault(tenant, self._nothing(tenant))

    def foreign(self) -> str:
        """Why this loader would never publish here though the one that leads went: it is another deployment's; or ''.

        Raises:
            PublishError: Redis cannot be asked.
        """
        with translated(self.name):
            return self._list.foreign(cast("bytes | None", self._client.get(self._keys.manifest)) or b"")

    def list_again(self, tenant: str) -> None:
        """Lists a tenant that an operator brings back, where there is a manifest and it names others.

        Raises:
            PublishError: it is not listed.
        """
        if self._list.exists and tenant not in self._list.tenants:
            with translated(self.name):
                self._list.write({tenant: 0}, self._pointers, complete=False, least=self._least)

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
            args = (pointer.tenant, standing.raw, pointer.dump(self._secret, self._scope), self._keys.changes, token)
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
        self._pointers[pointer.tenant] = pointer

    def _look(self) -> dict[str, bytes]:
        """Reads the manifest, then the pointers, which are never older than that; and what numbers rest on."""
        self._list.take(cast("bytes | None", self._client.get(self._keys.manifest)) or b"")
        secrets = (self._secret,) if self._secret else ()
        followed = load_followed(cast("bytes | None", self._client.get(self._keys.followed)), secrets, self._scope)
        self._least = least_number(max(followed, self._list.sequence), self._clocks())
        found = cast("dict[bytes, bytes]", self._client.hgetall(self._keys.pointers))
        raws = {tenant.decode("utf-8", "replace"): raw for tenant, raw in found.items()}
        known = [_claimed_serial(tenant, raw) for tenant, raw in raws.items()]
        self._behind = followed > max([self._list.sequence, *known])
        return raws

    def _clocks(self) -> list[int]:
        """Our time, and that of Redis where it tells."""
        clocks = [time.time_ns() // 1_000_000]
        try:
            seconds, microseconds = self._client.time()
            clocks.append(seconds * 1000 + microseconds // 1000)
        except ResponseError:  # this account may not ask
            pass
        return clocks

    def _nothing(self, tenant: str, raw: bytes = b"", serial: int = 0) -> Standing:
        """What stands of a tenant whose pointer is not there, or cannot be believed."""
        listed = self._list.tenants.get(tenant)
        return Standing(raw, max(serial, listed.serial if listed else 0), None, self._least, listed is not None)

    def _read(self, tenant: str, raw: bytes) -> Standing:
        """A pointer. One that cannot be trusted is published over, with a serial above the one that it claims."""
        try:
            pointer = Pointer.load(tenant, raw, (self._secret,) if self._secret else (), self._scope)
        except SnapshotError:
            return self._nothing(tenant, raw, _claimed_serial(tenant, raw))
        stands = self._nothing(tenant, raw, pointer.serial)
        known = self._pointers.get(tenant)
        if pointer.serial < max(stands.serial, known.serial if known else 0):  # somebody put an older one back
            return replace(stands, serial=max(stands.serial, known.serial if known else 0))
        return replace(stands, pointer=pointer)

    def _bind(self, stands: Standing, pointer: Pointer) -> Standing:
        """Publishes a pointer again, for this deployment and prefix, with a serial of its own."""
        bound = replace(pointer, serial=stands.next_serial(), bound=True)
        self.move(bound, stands)
        return replace(stands, raw=bound.dump(self._secret, self._scope), serial=bound.serial, pointer=bound)

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
