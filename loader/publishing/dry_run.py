"""What a cycle would publish: a publisher that looks at the published state and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loader.publishing.publish import PublishedState, RedisPublisher
    from pdp.rules.publication.pointer import Pointer


class DryRun:
    """Collects what would be published.

    Args:
        publisher: the publisher that is not asked to publish.

    Attributes:
        blobs: the snapshots that would become current, by tenant.
        removed: the tenants that would be removed.
    """

    def __init__(self, publisher: RedisPublisher) -> None:
        self.name = publisher.name
        self.blobs: dict[str, bytes] = {}
        self.removed: list[str] = []
        self._publisher = publisher

    def standing(self) -> Mapping[str, PublishedState]:
        """The published states."""
        return self._publisher.standing()

    def list_tenants(self, expected: Mapping[str, int], *, complete: bool) -> None:
        """Does nothing."""

    def publish(self, pointer: Pointer, blob: bytes, standing: PublishedState) -> None:
        """Remembers the snapshot."""
        del standing
        self.blobs[pointer.tenant] = blob

    def remove(self, pointer: Pointer, standing: PublishedState) -> None:
        """Remembers the tenant."""
        del standing
        self.removed.append(pointer.tenant)
