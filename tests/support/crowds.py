"""A tenant that is large enough for its edits to be shipped as deltas, and a loader's end of publishing them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from given import ACME, ALICE, KEY

from loader.publishing.publish import PublishedState, RedisPublisher
from pdp.rules.compiler.compiler import Compiler
from pdp.rules.model import CallPermission, Revision, Tenant, User
from pdp.rules.publication.keys import Keys
from pdp.rules.publication.pointer import Pointer

if TYPE_CHECKING:
    from redis import Redis

KEYS = Keys()
CROWD = 600
"""Permissions that make a tenant large enough for deltas."""


def crowd(extension: str) -> Tenant:
    """A large tenant, with one permission that denies Alice this extension."""
    users = tuple(User(f"{number:08d}-0000-4000-8000-000000000000") for number in range(CROWD))
    rules = (CallPermission(id=n + 2, extensions=(f"_9{n}X.",), users=(user.uuid,)) for n, user in enumerate(users))
    mine = CallPermission(id=1, extensions=(extension,), users=(ALICE,))
    return Tenant(ACME, "acme", users=(User(ALICE), *users), call_permissions=(mine, *rules))


class Line:
    """The revisions of a tenant, compiled one after the other and published as they come."""

    def __init__(self, client: Redis, *, keep: int = 5) -> None:
        self.client = client
        self.publisher = RedisPublisher(self.client, "redis", secret=KEY, keep=keep)
        self.blobs: dict[int, bytes] = {}
        self._compiler = Compiler(secret=KEY)

    def compile(self, extension: str) -> tuple[Pointer, bytes]:
        """The next revision, not published."""
        number = self.publisher.standing().get(ACME, PublishedState()).next_serial()
        revision = Revision(number, f"{number:064x}")
        blob = self._compiler.compile(crowd(extension), revision, compiled_at=1.5)
        return Pointer.to(ACME, revision, CROWD), blob

    def publish(self, extension: str) -> Pointer:
        """The next revision, published."""
        pointer, blob = self.compile(extension)
        self.put(pointer, blob)
        return pointer

    def put(self, pointer: Pointer, blob: bytes) -> None:
        """Publishes a blob."""
        self.publisher.publish(pointer, blob, self.publisher.standing().get(ACME, PublishedState()))
        self.blobs[pointer.revision.number] = blob

    def in_redis(self, pointer: Pointer) -> tuple[object, object]:
        """The blob and the delta of a revision as Redis holds them."""
        number = pointer.revision.number
        return self.client.get(KEYS.snapshot(ACME, number)), self.client.get(KEYS.delta(ACME, number))
