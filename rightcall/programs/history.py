"""The revisions of served rules: those that Redis keeps, or those that this very process has seen."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from loader.errors import PublishError
from loader.numbering import numbering_table
from loader.publishing.revisions import Revisions
from pdp.rules.snapshot.contents import tenant_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from redis import Redis

    from pdp.rules.model import Tenant
    from pdp.rules.publication.keys import Scope
    from pdp.rules.snapshot.snapshot import Snapshot
    from pdp.snapshots.current import CurrentSnapshots, LoadedSnapshot

_MOST_SEEN: Final = 20
"""Revisions of a tenant that are remembered."""
_MOST_BYTES: Final = 64 * 1024 * 1024
"""Bytes of all remembered revisions together; the current ones are held anyway."""


class HistoryError(Exception):
    """The revisions cannot be read, or not changed; the message says why."""


class Entry(NamedTuple):
    """A revision of a tenant.

    Attributes:
        revision: as in responses.
        published_at: in seconds of Unix time.
        permissions: number of permissions.
        by: the publisher.
        author: of the edit; empty: not known.
        message: of the edit; empty: not known.
        current: servers decide by this revision.
        pinned: an operator chose the revision, and loaders leave the tenant alone.
    """

    revision: str
    published_at: float
    permissions: int
    by: str = ""
    author: str = ""
    message: str = ""
    current: bool = False
    pinned: bool = False


class History(Protocol):
    """The revisions of tenants. Every method is safe for use by several threads.

    Attributes:
        rolls_back: whether an earlier revision can be made current.
    """

    rolls_back: bool

    def entries(self, tenant: str) -> Sequence[Entry]:
        """The revisions of a tenant, newest first.

        Raises:
            HistoryError: they cannot be read.
        """

    def content(self, tenant: str, revision: str) -> Tenant:
        """The rules of a revision.

        Raises:
            HistoryError: they cannot be read.
        """

    def roll_back(self, tenant: str, revision: str) -> None:
        """Makes an earlier revision current on every server, and pins it.

        Raises:
            HistoryError: the revision did not become current.
        """

    def unpin(self, tenant: str) -> None:
        """Lets loaders publish a tenant again.

        Raises:
            HistoryError: the tenant is still pinned.
        """


class PublishedHistory:
    """The revisions that Redis keeps.

    Args:
        client: a connected client that returns bytes.
        name: the name of Redis in messages.
        scope: deployment and prefix of every key.
        secret: the deployment's key; None: rules need no signature.
    """

    rolls_back = True

    def __init__(self, client: Redis, name: str, scope: Scope, secret: bytes | None) -> None:
        self._revisions = Revisions(client, name, secret=secret, scope=scope)

    def entries(self, tenant: str) -> list[Entry]:
        """The revisions of a tenant, newest first."""
        with _translated():
            return [
                Entry(
                    str(kept.revision),
                    kept.published_at,
                    kept.permissions,
                    kept.origin.by,
                    kept.origin.author,
                    kept.origin.message,
                    kept.current,
                    kept.pinned,
                )
                for kept in self._revisions.kept(tenant)
            ]

    def content(self, tenant: str, revision: str) -> Tenant:
        """The rules of a revision."""
        with _translated():
            return tenant_of(self._revisions.snapshot(self._revisions.find(tenant, revision)), numbering_table)

    def roll_back(self, tenant: str, revision: str) -> None:
        """Makes an earlier revision current on every server, and pins it."""
        with _translated():
            self._revisions.roll_back(tenant, revision)

    def unpin(self, tenant: str) -> None:
        """Lets loaders publish a tenant again."""
        with _translated():
            self._revisions.unpin(tenant)


class _Seen(NamedTuple):
    tenant: str
    at: float
    snapshot: Snapshot


class SeenHistory:
    """The revisions that this process has served since its start, as far as they fit into some memory.

    Args:
        current: the snapshots of this process.
    """

    rolls_back = False

    def __init__(self, current: CurrentSnapshots) -> None:
        self._lock = threading.Lock()
        self._seen: deque[_Seen] = deque()
        self._current: dict[str, Snapshot] = {}
        current.on_change(self._note)

    def entries(self, tenant: str) -> list[Entry]:
        """The revisions of a tenant, newest first."""
        with self._lock:
            seen = [one for one in reversed(self._seen) if one.tenant == tenant]
            current = self._current.get(tenant)
        return [
            Entry(
                str(one.snapshot.revision),
                one.at,
                one.snapshot.counts.permissions,
                "this server",
                current=one.snapshot is current,
            )
            for one in seen
        ]

    def content(self, tenant: str, revision: str) -> Tenant:
        """The rules of a revision."""
        with self._lock:
            for one in self._seen:
                if one.tenant == tenant and str(one.snapshot.revision) == revision:
                    return tenant_of(one.snapshot, numbering_table)
        raise HistoryError(f"revision {revision} is not remembered here")

    def roll_back(self, tenant: str, revision: str) -> None:
        """Fails always: the definitions decide."""
        raise HistoryError(f"{revision} of {tenant} was read from definitions here; edit these to go back")

    def unpin(self, tenant: str) -> None:
        """Fails always: nothing is ever pinned."""
        raise HistoryError(f"{tenant} is not pinned: its definitions are read here")

    def _note(self, held: Mapping[str, LoadedSnapshot], changed: Iterable[str], _incomplete: str) -> None:
        with self._lock:
            for tenant in changed:
                loaded, before = held.get(tenant), self._current.get(tenant)
                if loaded is None or loaded.snapshot is before:
                    continue
                self._current[tenant] = loaded.snapshot
                self._seen.append(_Seen(tenant, time.time(), loaded.snapshot))
                if before is not None:
                    self._shorten(tenant)

    def _shorten(self, tenant: str) -> None:
        """Forgets the oldest revisions beyond the limits; never the current one of a tenant."""
        own = [one for one in self._seen if one.tenant == tenant]
        gone = own[: max(0, len(own) - _MOST_SEEN)]
        size = sum(one.snapshot.size for one in self._seen if self._current[one.tenant] is not one.snapshot)
        for one in list(self._seen):
            if one in gone or (size > _MOST_BYTES and self._current[one.tenant] is not one.snapshot):
                self._seen.remove(one)
                size -= one.snapshot.size


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except PublishError as error:
        raise HistoryError(str(error)) from error
