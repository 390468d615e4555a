"""The revisions that Redis keeps of a tenant: listing, rolling back to one, and unpinning."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, cast

from loader.errors import PublishError
from loader.publishing.candidates import Candidates
from loader.publishing.publish import Origin, PublishedState, RedisPublisher
from loader.publishing.redis_errors import translated
from pdp.rules.errors import SnapshotError
from pdp.rules.model import Revision
from pdp.rules.publication.keys import DEFAULT_SCOPE, Keys, Scope
from pdp.rules.publication.pointer import Pointer
from pdp.rules.snapshot.layout import UUID_LENGTH
from pdp.rules.snapshot.snapshot import decode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from pdp.rules.publication.candidate import Candidate
    from pdp.rules.snapshot.snapshot import Snapshot

_MOST = 10
"""Tenants in a message."""
_DASHES = 4
"""Of a UUID."""


@dataclass(frozen=True, slots=True)
class KeptRevision:
    """A revision with a blob in Redis.

    Attributes:
        tenant: the tenant's UUID.
        revision: number and digest.
        permissions: number of permissions.
        size: bytes of the snapshot.
        published_at: seconds of Unix time.
        origin: the publisher, and the author and message of the edit.
        current: servers decide by this revision.
        pinned: chosen by an operator; loaders do not publish the tenant.
        candidate: servers compare their decisions with those by this revision.
    """

    tenant: str
    revision: Revision
    permissions: int
    size: int
    published_at: float
    origin: Origin
    current: bool
    pinned: bool
    candidate: bool = False

    def is_called(self, revision: str) -> bool:
        """Whether a revision, as in responses, or its number alone, is this one; an empty text is the current one."""
        return revision in (str(self.revision), str(self.revision.number)) if revision else self.current

    def as_dict(self) -> dict[str, object]:
        """For programs."""
        fields = {name: getattr(self, name) for name in self.__slots__ if name != "origin"}
        return {**fields, **asdict(self.origin), "revision": str(self.revision), "digest": self.revision.digest}


class UnknownRevision(PublishError):
    """A tenant or a revision that Redis does not hold."""


class UnreadableRevision(PublishError):
    """A revision whose snapshot is not in Redis, or not whole, or not signed with the deployment's key."""


class Revisions:
    """An operator's actions on revisions.

    Args:
        client: a connected client that returns bytes.
        name: the server's name in messages.
        secret: the deployment's key, which signs pointers and snapshots; None: they need no signature.
        scope: deployment and prefix of every key; covered by signatures.
    """

    def __init__(
        self,
        client: Redis,
        name: str,
        *,
        secret: bytes | None = None,
        scope: Scope = DEFAULT_SCOPE,
    ) -> None:
        self._client = client
        self._name = name
        self._keys = Keys(scope.prefix)
        self._secrets = (secret,) if secret else ()
        self._publisher = RedisPublisher(client, name, secret=secret, scope=scope)
        self._candidates = Candidates(client, name, secret=secret, scope=scope)

    def kept(self, tenant: str = "") -> list[KeptRevision]:
        """The revisions of a tenant, or of all, newest first.

        Raises:
            PublishError: Redis cannot be asked.
            UnknownRevision: unknown tenant.
        """
        standing = self._publisher.standing()
        if tenant and tenant not in standing:
            raise UnknownRevision(f"tenant {tenant} is not in {self._name}; `rightcall revisions` lists those that are")
        candidates = self._candidates.all()
        uuids = sorted([tenant] if tenant else standing)
        return [kept for uuid in uuids for kept in self._of(uuid, standing[uuid], candidates.get(uuid))]

    def find(self, tenant: str, revision: str) -> KeptRevision:
        """A revision of a tenant.

        Args:
            tenant: the tenant's UUID.
            revision: as in responses and ``kept``, or the number alone; empty: the current one.

        Raises:
            PublishError: Redis cannot be asked.
            UnknownRevision: unknown tenant, or unknown revision of the tenant.
        """
        kept = self.kept(tenant)
        chosen = next((one for one in kept if one.is_called(revision)), None)
        if chosen is None:
            there = ", ".join(str(one.revision) for one in kept) or "none"
            missing = f"revision {revision}" if revision else "current revision"
            raise UnknownRevision(f"tenant {tenant} has no {missing} in {self._name}; kept are: {there}")
        return chosen

    def tenant(self, text: str) -> str:
        """The UUID of a tenant, by UUID or name.

        Raises:
            PublishError: Redis cannot be asked.
            UnknownRevision: no tenant has this name, or several have.
        """
        if len(text) == UUID_LENGTH and text.count("-") == _DASHES:
            return text.lower()
        named = {kept.tenant: self.snapshot(kept).tenant_name for kept in self.current()}
        found = [uuid for uuid, name in named.items() if name == text]
        if len(found) != 1:
            problem = f"several tenants are named '{text}'" if found else f"there is no tenant '{text}'"
            there = ", ".join(f"{name} ({uuid})" if name else uuid for uuid, name in sorted(named.items())[:_MOST])
            raise UnknownRevision(f"{problem} in {self._name}; there are: {there or 'none'}")
        return found[0]

    def current(self) -> list[KeptRevision]:
        """The revisions that servers decide by, one a tenant.

        Raises:
            PublishError: Redis cannot be asked.
        """
        return [one for one in self.kept() if one.current]

    def snapshots(self) -> Iterator[Snapshot]:
        """The snapshots that servers decide by and that can be read, but those that an operator chose.

        Raises:
            PublishError: Redis cannot be asked.
        """
        for kept in self.current():
            if not kept.pinned:
                with suppress(UnreadableRevision):
                    yield self.snapshot(kept)

    def snapshot(self, kept: KeptRevision) -> Snapshot:
        """The compiled rules of a revision.

        Raises:
            UnreadableRevision: they are not in Redis, or not whole, or not signed with the deployment's key.
            PublishError: Redis cannot be asked.
        """
        with translated(self._name):
            blob = cast("bytes | None", self._client.get(self._keys.snapshot(kept.tenant, kept.revision.number)))
        try:
            return decode(blob or b"", secrets=self._secrets)
        except SnapshotError as error:
            raise UnreadableRevision(
                f"revision {kept.revision} of tenant {kept.tenant} in {self._name} cannot be read: {error}"
            ) from error

    def roll_back(self, tenant: str, revision: str) -> KeptRevision:
        """Makes a revision current again and pins the tenant.

        Args:
            tenant: the tenant's UUID.
            revision: as in responses and ``kept``, or the number alone.

        Raises:
            PublishError: the revision did not become current.
            UnknownRevision: unknown tenant, or unknown revision of the tenant.
        """
        chosen = self.find(tenant, revision)
        self._move(tenant, chosen.revision, chosen.permissions, pinned=True)
        return chosen

    def unpin(self, tenant: str) -> Revision | None:
        """Lets loaders publish a tenant again; returns the pinned revision, or None if none was pinned.

        Raises:
            PublishError: the tenant is still pinned.
            UnknownRevision: unknown tenant.
        """
        standing = self._publisher.standing().get(tenant)
        if standing is None:
            raise UnknownRevision(f"tenant {tenant} is not in {self._name}; `rightcall revisions` lists those that are")
        pointer = standing.current
        if pointer is None or not pointer.pinned:
            return None
        self._move(tenant, pointer.revision, pointer.permissions, pinned=False)
        return pointer.revision

    def shadow(self, tenant: str, revision: str) -> KeptRevision:
        """Has servers compare their decisions with those by a revision.

        Args:
            tenant: the tenant's UUID.
            revision: as in responses and ``kept``, or the number alone.

        Raises:
            PublishError: Redis cannot be asked or written to, or the revision's snapshot cannot be read.
            UnknownRevision: unknown tenant, unknown revision of the tenant, or the current one.
        """
        chosen = self.find(tenant, revision)
        if chosen.current:
            raise UnknownRevision(f"revision {chosen.revision} is current; a candidate is another one")
        self.snapshot(chosen)  # servers would refuse a damaged one
        self._candidates.set(tenant, chosen.revision, chosen.permissions)
        return chosen

    def candidates(self) -> list[KeptRevision]:
        """The candidates, one a tenant at most.

        Raises:
            PublishError: Redis cannot be asked.
        """
        return [one for one in self.kept() if one.candidate]

    def promote(self, tenant: str) -> KeptRevision:
        """Makes a tenant's candidate current, and pins the tenant, as ``roll_back`` does; ends the comparison.

        Raises:
            PublishError: the candidate did not become current, or its snapshot cannot be read.
            UnknownRevision: unknown tenant, or one without a candidate.
        """
        chosen = next((one for one in self.kept(tenant) if one.candidate), None)
        if chosen is None:
            raise UnknownRevision(f"tenant {tenant} has no candidate in {self._name}; `rightcall shadow` makes one")
        self.snapshot(chosen)
        self._move(tenant, chosen.revision, chosen.permissions, pinned=True)
        self._candidates.drop(tenant)
        return chosen

    def drop(self, tenant: str) -> bool:
        """Ends the comparison of a tenant; returns whether there was one.

        Raises:
            PublishError: Redis cannot be written to.
        """
        return self._candidates.drop(tenant)

    def _move(self, tenant: str, revision: Revision, permissions: int, *, pinned: bool) -> None:
        standing = self._publisher.standing()[tenant]
        serial = max(standing.next_serial(), revision.number)
        pointer = Pointer(tenant, serial, revision, pinned=pinned, permissions=permissions)
        self._publisher.list_again(tenant)
        self._publisher.move(pointer, standing)

    def _of(self, tenant: str, standing: PublishedState, candidate: Candidate | None) -> list[KeptRevision]:
        with translated(self._name):
            found = cast("list[bytes]", self._client.zrange(self._keys.revisions(tenant), 0, -1, desc=True))
        pointer = standing.current
        kept = [_kept(tenant, json.loads(about), pointer, candidate) for about in found]
        return [one for one in kept if one.candidate or one.revision.number <= standing.serial]


def _kept(tenant: str, about: dict[str, object], pointer: Pointer | None, candidate: Candidate | None) -> KeptRevision:
    revision = Revision(int(str(about["number"])), str(about["digest"]))
    current = pointer is not None and pointer.revision == revision
    return KeptRevision(
        tenant=tenant,
        revision=revision,
        permissions=int(str(about["permissions"])),
        size=int(str(about["size"])),
        published_at=float(str(about["published_at"])),
        origin=Origin(**{key: str(about.get(key, "")) for key in Origin.__slots__}),
        current=current,
        pinned=current and pointer is not None and pointer.pinned,
        candidate=candidate is not None and candidate.revision == revision,
    )
