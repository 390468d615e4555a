"""Publishing: a tenant's snapshot into Redis, whole or not at all.

The blob is written first, under a key of its own (see ``shipping``). Then the pointer moves, in one step that also
notifies the servers, and only if no other loader moved the pointer meanwhile and this loader still leads. A loader that
dies in between leaves a blob without a pointer, which the next publication's pruning removes.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Protocol, cast

from redis.exceptions import ResponseError

from loader.errors import PublishError
from loader.publishing.candidates import Candidates
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
class PublishedState:
    """The published state of a tenant.

    Attributes:
        raw: the pointer as found; empty without one.
        serial: the highest known serial; 0 without one.
        pointer: the usable pointer; None without a pointer, without the blob, or if the pointer is not signed with this
            deployment's key.
        least: the lowest allowed serial of the next pointer, above all earlier ones.
        listed: the manifest names the tenant, with or without a pointer.
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
        """A serial above all that were ever given, as far as known (see ``pdp.rules.publication.numbers``)."""
        return max(self.serial + 1, self.least or time.time_ns() // 1_000_000)


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of a revision, kept beside it for operators.

    Attributes:
        by: the name of the publishing loader.
        author: the person who made the edit, if told.
        message: the reason for the edit, if told.
    """

    by: str = "rightcall load"
    author: str = ""
    message: str = ""


class Publisher(Protocol):
    """The destination of compiled rules."""

    name: str
    """The name in messages; without credentials."""

    def standing(self) -> Mapping[str, PublishedState]:
        """The published states, by tenant.

        Raises:
            PublishError: Redis cannot be read.
        """

    def list_tenants(self, expected: Mapping[str, int], *, complete: bool) -> None:
        """Writes the list of tenants, so that a follower can tell a missing tenant from a removed one.

        Args:
            expected: the tenants of the source, with the number of faults of a closed one, else 0.
            complete: whether the source has no others.

        Raises:
            PublishError: the list was not written.
        """

    def publish(self, pointer: Pointer, blob: bytes, standing: PublishedState) -> None:
        """Makes ``blob`` the current revision of the tenant, replacing the published one.

        Raises:
            PublishError: the blob did not become current; the previous revision still is.
        """

    def remove(self, pointer: Pointer, standing: PublishedState) -> None:
        """Publishes that a tenant is removed.

        Raises:
            PublishError: the removal was not published.
        """


class RedisPublisher:
    """Publishes into Redis.

    Args:
        client: a connected client that returns bytes.
        name: the server's name in messages.
        origin: the origin of what is published.
        secret: the deployment's key, which signs the pointers; None: pointers are unsigned.
        scope: deployment and prefix of every key; covered by signatures.
        keep: number of revisions of a tenant to keep, including the current one; at least 1.
        lease: this loader's claim to lead, without which no pointer moves; None: any loader may move pointers.
    """

    def __init__(
        self,
        client: Redis,
        name: str,
        *,
        origin: Origin = Origin(),
        secret: bytes | None = None,
        scope: Scope = DEFAULT_SCOPE,
        keep: int = DEFAULT_KEEP,
        lease: Lease | None = None,
    ) -> None:
        self.name = name
        self._client = client
        self._origin = origin
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
        self._standing: dict[str, PublishedState] = {}
        """The last result of ``standing``."""
        self._shipper = Shipper(client, self._keys)
        self._candidates = Candidates(client, name, secret=secret, scope=scope)

    def standing(self) -> dict[str, PublishedState]:
        """The content of the pointers, by tenant, and the presence of the blobs."""
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
        """Signs the manifest and writes the result into Redis, if absent or outdated there.

        Pointers of release 0.1, which name no deployment and prefix, are published again, and so are all pointers if
        servers have followed higher numbers than Redis knows. The last result of ``standing`` is updated.
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
        """The reason why this loader could never publish here: the prefix is another deployment's; or ''.

        Raises:
            PublishError: Redis cannot be reached.
        """
        with translated(self.name):
            return self._list.foreign(cast("bytes | None", self._client.get(self._keys.manifest)) or b"")

    def list_again(self, tenant: str) -> None:
        """Lists a tenant that an operator brings back, if there is a manifest that lacks the tenant.

        Raises:
            PublishError: the tenant is not listed.
        """
        if self._list.exists and tenant not in self._list.tenants:
            with translated(self.name):
                self._list.write({tenant: 0}, self._pointers, complete=False, least=self._least)

    def publish(self, pointer: Pointer, blob: bytes, standing: PublishedState) -> None:
        """Ships the blob, then moves the pointer, then drops blobs older than the revisions to keep."""
        with translated(self.name):
            self._ship(pointer, blob, standing)
            self.move(pointer, standing)
            self._prune(pointer.tenant)

    def propose(self, pointer: Pointer, blob: bytes, standing: PublishedState) -> None:
        """Ships the blob, and makes its revision the tenant's candidate; the pointer stays.

        Raises:
            PublishError: Redis cannot be written to.
        """
        with translated(self.name):
            self._ship(pointer, blob, standing)
            self._candidates.set(pointer.tenant, pointer.revision, pointer.permissions)
            self._prune(pointer.tenant)

    def _ship(self, pointer: Pointer, blob: bytes, standing: PublishedState) -> None:
        tenant, revision = pointer.tenant, pointer.revision
        about = {
            "number": revision.number,
            "digest": revision.digest,
            "permissions": pointer.permissions,
            "size": len(blob),
            "published_at": time.time(),
            **asdict(self._origin),
        }
        current = standing.current.revision if standing.current else None
        self._shipper.ship(tenant, revision, blob, json.dumps(about), current)

    def remove(self, pointer: Pointer, standing: PublishedState) -> None:
        """Moves the pointer to nowhere. The last revisions stay, to roll back to."""
        self._shipper.forget(pointer.tenant)
        self.move(pointer, standing)

    def move(self, pointer: Pointer, standing: PublishedState) -> None:
        """Replaces the published pointer, and notifies the servers.

        Raises:
            PublishError: another loader moved the pointer meanwhile, or this loader no longer leads.
        """
        with translated(self.name):
            token = self._lease.token if self._lease else b""
            keys = (self._keys.pointers, self._keys.leader)
            args = (pointer.tenant, standing.raw, pointer.dump(self._secret, self._scope), self._keys.changes, token)
            # Without a token there is no lead to ask Redis about.
            moved = self._client.eval(_MOVE_POINTER, len(keys), *keys, *args) if token or self._lease is None else -1
        if moved == -1:
            rival = f", {self._lease.rival} does" if self._lease and self._lease.rival else ""
            raise PublishError(f"tenant {pointer.tenant} is not published: this loader no longer leads{rival}")
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
        """The local time, and the time of Redis if available."""
        clocks = [time.time_ns() // 1_000_000]
        try:
            seconds, microseconds = self._client.time()
            clocks.append(seconds * 1000 + microseconds // 1000)
        except ResponseError:  # this account may not ask
            pass
        return clocks

    def _nothing(self, tenant: str, raw: bytes = b"", serial: int = 0) -> PublishedState:
        """The published state of a tenant whose pointer is missing or untrusted."""
        listed = self._list.tenants.get(tenant)
        return PublishedState(raw, max(serial, listed.serial if listed else 0), None, self._least, listed is not None)

    def _read(self, tenant: str, raw: bytes) -> PublishedState:
        """Parses a pointer. An untrusted one is replaced, with a serial above the claimed one."""
        try:
            pointer = Pointer.load(tenant, raw, (self._secret,) if self._secret else (), self._scope)
        except SnapshotError:
            return self._nothing(tenant, raw, _claimed_serial(tenant, raw))
        stands = self._nothing(tenant, raw, pointer.serial)
        known = self._pointers.get(tenant)
        if pointer.serial < max(stands.serial, known.serial if known else 0):  # an older one was put back
            return replace(stands, serial=max(stands.serial, known.serial if known else 0))
        return replace(stands, pointer=pointer)

    def _bind(self, stands: PublishedState, pointer: Pointer) -> PublishedState:
        """Publishes a pointer again, for this deployment and prefix, with a serial of its own."""
        bound = replace(pointer, serial=stands.next_serial(), bound=True)
        self.move(bound, stands)
        return replace(stands, raw=bound.dump(self._secret, self._scope), serial=bound.serial, pointer=bound)

    def _prune(self, tenant: str) -> None:
        """Drops the oldest revisions, but for the candidate and the current one."""
        candidate, current = self._candidates.of(tenant), self._pointers.get(tenant)
        used = {one.revision.number for one in (candidate, current) if one is not None}
        self._shipper.prune(tenant, self._keep, used)


def _claimed_serial(tenant: str, raw: bytes) -> int:
    try:
        return Pointer.load(tenant, raw).serial
    except SnapshotError:
        return 0
