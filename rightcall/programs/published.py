"""The rules that Redis holds, as a source of definitions: the current ones, or a revision of a tenant."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from loader.errors import PublishError, SourceError
from loader.faults import Fault
from loader.numbering import numbering_table
from loader.publishing.revisions import Revisions
from loader.sources.base import Reading
from pdp.rules.publication.keys import without_credentials
from pdp.rules.snapshot.contents import tenant_of
from rightcall.programs.redis_client import opened_redis
from rightcall.redis_url import ANSWER_TIMEOUT

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Sequence

    from loader.publishing.revisions import KeptRevision
    from pdp.rules.publication.keys import Scope
    from pdp.rules.snapshot.snapshot import Snapshot

_SCHEME = re.compile(r"(rediss?|unix|rediss?\+(sentinel|cluster))://", re.ASCII)
_REVISION = re.compile(r"[0-9]+(-[0-9a-f]{12})?", re.ASCII)


class Place(NamedTuple):
    """A place in Redis: ``URL#TENANT@REVISION``.

    Attributes:
        url: the URL of Redis alone.
        tenant: UUID or name; empty: each tenant.
        revision: as in responses, or the number alone; empty: the current one.
    """

    url: str
    tenant: str
    revision: str

    @classmethod
    def parsed(cls, text: str) -> Place:
        """The place that a text names; a fragment without ``@`` is a revision if it looks like one."""
        url, _, fragment = text.partition("#")
        if _REVISION.fullmatch(fragment):
            return cls(url, "", fragment)
        tenant, at, revision = fragment.rpartition("@")
        return cls(url, tenant, revision) if at else cls(url, fragment, "")


def at_revision(text: str, revision: str) -> str:
    """The text that names the same place at a revision."""
    place = Place.parsed(text)
    return f"{place.url}#{place.tenant}@{revision}"


def names_redis(text: str) -> bool:
    """Whether a text names rules in Redis, rather than definitions."""
    return _SCHEME.match(text) is not None


class PublishedSource:
    """The rules that a loader published. What decides no call is not in Redis: expectations, and PINs in the clear.

    Args:
        text: the place, as of ``Place``.
        scope: deployment and prefix of the keys.
        secret: the deployment's key, which must have signed the rules; None: they need no signature.
    """

    def __init__(self, text: str, scope: Scope, secret: bytes | None) -> None:
        self._place = Place.parsed(text)
        self._scope = scope
        self._secret = secret
        self.name = without_credentials(self._place.url) + text[len(self._place.url) :]

    def snapshots(self) -> list[Snapshot]:
        """The chosen snapshots.

        Raises:
            SourceError: Redis cannot be asked, or there is no such tenant or revision.
        """
        with self._opened() as revisions:
            return [revisions.snapshot(kept) for kept in self._chosen(revisions)]

    def read(self) -> Reading:
        """The rules of the chosen snapshots; a closed tenant is at fault."""
        tenants = [tenant_of(snapshot, numbering_table) for snapshot in self.snapshots()]
        closed = [tenant for tenant in tenants if tenant.closed]
        remedy = "repair its definitions, and publish them"
        return Reading(
            tenants=tuple(tenant for tenant in tenants if not tenant.closed),
            faults=tuple(
                Fault(self.name, None, tenant.name or tenant.uuid, "", "", "the tenant is closed there", remedy)
                for tenant in closed
            ),
            faulty=frozenset(tenant.uuid for tenant in closed),
            complete=not self._place.tenant,
        )

    def watch(self, stop: threading.Event) -> Iterator[None]:
        """Ends at once: what was published is read once."""
        del stop
        return iter(())

    @property
    def patience(self) -> float:
        """The timeout of Redis."""
        return ANSWER_TIMEOUT

    def stale_seconds(self) -> float:
        """Always zero: each reading asks Redis."""
        return 0.0

    def close(self) -> None:
        """Nothing is open between two readings."""

    def _chosen(self, revisions: Revisions) -> Sequence[KeptRevision]:
        tenant, revision = self._place.tenant, self._place.revision
        if not tenant and not revision:
            return revisions.current()
        if tenant:
            return [revisions.find(revisions.tenant(tenant), revision)]
        found = [kept for kept in revisions.kept() if kept.is_called(revision)]
        if not found:
            raise SourceError(f"{self.name}: no tenant has this revision; see rightcall revisions")
        return found

    @contextmanager
    def _opened(self) -> Iterator[Revisions]:
        client, name = opened_redis(self._place.url)
        with client:
            try:
                yield Revisions(client, name, secret=self._secret, scope=self._scope)
            except PublishError as error:
                raise SourceError(str(error)) from error
