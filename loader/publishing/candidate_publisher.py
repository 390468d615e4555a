"""Publishing beside the current revisions: what a cycle would make current becomes the tenants' candidates."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loader.publishing.publish import PublishedState, RedisPublisher
    from pdp.rules.publication.pointer import Pointer

_log = structlog.get_logger()


class CandidatePublisher:
    """Makes candidates of what would become current.

    Only a tenant with a current revision gets one: there is nothing to compare with else. Nothing is removed, and no
    tenant is closed by a candidate.

    Args:
        publisher: looks at Redis, and keeps the revisions there.

    Attributes:
        proposed: the tenants that have got a candidate.
    """

    def __init__(self, publisher: RedisPublisher) -> None:
        self.name = publisher.name
        self.proposed: list[str] = []
        self._publisher = publisher

    def standing(self) -> Mapping[str, PublishedState]:
        """The published states; a pinned tenant can have a candidate as well."""
        return {tenant: _unpinned(stands) for tenant, stands in self._publisher.standing().items()}

    def list_tenants(self, expected: Mapping[str, int], *, complete: bool) -> None:
        """Does nothing: the manifest lists what is current."""

    def publish(self, pointer: Pointer, blob: bytes, standing: PublishedState) -> None:
        """Keeps the revision, and makes it the tenant's candidate."""
        if pointer.closed:
            return
        if standing.current is None:
            advice = "load it without --candidate; there is no current revision to compare with"
            _log.warning("candidate_skipped", tenant=pointer.tenant, advice=advice)
            return
        self._publisher.propose(pointer, blob, standing)
        self.proposed.append(pointer.tenant)
        _log.info("candidate_published", tenant=pointer.tenant, revision=str(pointer.revision))

    def remove(self, pointer: Pointer, standing: PublishedState) -> None:
        """Leaves the tenant as it is."""
        del standing
        _log.info("candidate_skipped", tenant=pointer.tenant, advice="it is gone from the source, and stays current")


def _unpinned(stands: PublishedState) -> PublishedState:
    return replace(stands, pointer=replace(stands.pointer, pinned=False)) if stands.pointer is not None else stands
