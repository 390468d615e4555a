"""Taking over a pointer's snapshot: fetched, checked, opened and current by one assignment, or refused with a cause.

A snapshot that cannot be used is refused, counted by cause and logged; the tenant keeps the last good snapshot. A
failure of one tenant's keys is that tenant's alone.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import structlog
from redis.exceptions import NoPermissionError, ResponseError

from pdp.rules.errors import SnapshotError
from pdp.rules.publication.pointer import Pointer
from pdp.rules.snapshot.snapshot import decode
from pdp.snapshots.refusal import Refused, cause_of

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from pdp.metrics.registry import Metrics
    from pdp.rules.model import Revision
    from pdp.rules.publication.keys import Scope
    from pdp.rules.snapshot.blob import Blob
    from pdp.rules.snapshot.snapshot import Snapshot
    from pdp.snapshots.current import CurrentSnapshots, LoadedSnapshot
    from pdp.snapshots.disk import SnapshotStore
    from pdp.snapshots.fetch import Fetcher
    from pdp.snapshots.listing import Listing

_log = structlog.get_logger()

_RETRY = (5.0, 300.0)
"""Seconds before the same refused revision is fetched again, and at most: a blob can be large."""


class _Refusal(NamedTuple):
    """A pointer whose snapshot was refused, and the time of the next attempt, by ``time.monotonic``."""

    raw: bytes
    problem: str
    retry_at: float
    delay: float


class Uptake:
    """Makes the snapshots of pointers current, tenant by tenant. For one thread.

    Args:
        fetcher: fetches blobs.
        current: where snapshots become current.
        listing: knows the pointers that the loader's manifest demands.
        metrics: counts loaded and refused snapshots.
        scope: scope that pointers must be for, where a pointer names one.
        secrets: the deployment's keys, of which one must have signed a snapshot; none: no signature is required.
        store: keeps loaded snapshots on disk; None: nothing is kept.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        current: CurrentSnapshots,
        listing: Listing,
        metrics: Metrics,
        *,
        scope: Scope,
        secrets: Sequence[bytes] = (),
        store: SnapshotStore | None = None,
    ) -> None:
        self._fetcher = fetcher
        self._current = current
        self._listing = listing
        self._scope = scope
        self._metrics = metrics
        self._secrets = tuple(secrets)
        self._store = store
        self._refusals: dict[str, _Refusal] = {}
        self._serials: dict[str, int] = {}
        """By tenant, the serial of the last pointer followed."""
        self.gone: dict[str, int] = {}
        """The tenants that pointers say are gone, with the serials of these."""
        self.rolled_back = False
        """Whether, since the last round began, any pointer was refused as older than the one followed."""
        self._leaving: list[LoadedSnapshot] = []
        """The snapshot just replaced, kept so that a call being decided does not have to free the memory."""

    @property
    def problems(self) -> list[str]:
        """The faults of tenants whose newest rules cannot be used, a sentence each."""
        return [refusal.problem for refusal in self._refusals.values()]

    @property
    def highest(self) -> int:
        """The highest serial of a pointer that was followed; 0: none was."""
        return max(self._serials.values(), default=0)

    def release(self) -> None:
        """Frees the snapshots that were replaced by the last round."""
        self._leaving.clear()

    def look_again(self) -> None:
        """Retries refused pointers at once, after a change of the manifest."""
        self._refusals = {tenant: refusal._replace(retry_at=0.0) for tenant, refusal in self._refusals.items()}

    def forget_others(self, tenants: Container[str]) -> None:
        """Forgets refused pointers of tenants that have no pointer any more."""
        self._refusals = {tenant: refusal for tenant, refusal in self._refusals.items() if tenant in tenants}

    def load_stored(self, store: SnapshotStore) -> set[str]:
        """Loads the snapshots of a store, of any age; Redis has the last word as soon as Redis is reached.

        Returns:
            The tenants with a pointer in the store.
        """
        tenants: set[str] = set()
        for pointer, snapshot, error in store.load():
            tenants.add(pointer.tenant)
            if error is not None:
                self._metrics.reload("disk", "failure", cause_of(error))
                _log.error("stored_rules_refused", tenant=pointer.tenant, problem=str(error))
                continue
            self._serials[pointer.tenant] = pointer.serial
            if snapshot is None:
                self.gone[pointer.tenant] = pointer.serial
            else:
                self._current.replace(snapshot, "disk")
                self._metrics.reload("disk", "success")
                _log.info("stored_rules_loaded", tenant=pointer.tenant, revision=str(pointer.revision))
        return tenants

    def take(self, tenant: str, raw: bytes) -> None:
        """Makes a pointer's revision current; one that cannot be used is refused, and retried later.

        Raises:
            RedisError: Redis cannot be reached, or denies this account.
        """
        refusal = self._refusals.get(tenant)
        if refusal and refusal.raw == raw and time.monotonic() < refusal.retry_at:
            return
        try:
            self._follow(tenant, raw)
            self._refusals.pop(tenant, None)
        except Refused as refused:
            self._refuse(tenant, raw, refused)
        except NoPermissionError:
            raise
        except ResponseError as error:  # a key of this tenant holds another type, say
            self._refuse(tenant, raw, Refused("unreadable", f"Redis does not give its rules out: {error}"))

    def _follow(self, tenant: str, raw: bytes) -> None:
        """Makes a pointer's revision current, if another one is.

        Raises:
            Refused: the pointer or the pointer's snapshot cannot be used.
        """
        try:
            pointer = Pointer.load(tenant, raw, self._secrets, self._scope)
        except SnapshotError as error:
            raise Refused(cause_of(error), str(error)) from error
        held = self._current.get(tenant)
        has = held.snapshot.revision if held else None
        known = self._serials.get(tenant)
        if self._keeps(pointer, held, known or 0):
            return
        settled = (
            held is None if pointer.removed else has == pointer.revision and held is not None and held.origin == "redis"
        )
        if pointer.serial == known and settled:
            return
        newest = known if known is not None else has.number if has else 0
        if pointer.serial < newest or (pointer.serial == newest and has not in (None, pointer.revision)):
            self.rolled_back = True
            raise Refused("rolled_back", f"its pointer to {pointer.revision} is not newer than what was followed")
        self._listing.check(pointer)
        blob = None
        if held is not None:
            self._leaving.append(held)
        if pointer.removed:
            self._remove(tenant, has)
        elif held is None or pointer.revision != has:
            blob = self._load(pointer, held)
        else:  # the very revision that came from disk
            self._current.replace(held.snapshot, "redis")
        self._serials[tenant] = pointer.serial
        if pointer.removed:
            self.gone[tenant] = pointer.serial
        else:
            self.gone.pop(tenant, None)
        if self._store:
            self._store.save(pointer, raw, blob)

    def _keeps(self, pointer: Pointer, held: LoadedSnapshot | None, known: int) -> bool:
        """Whether the loaded rules stay: good ones stay when the pointer says that the tenant is closed."""
        if not pointer.closed or held is None or held.snapshot.closed or pointer.serial < known:
            return False
        if pointer.serial != known:
            advice = "its last good rules stay; repair its definitions"
            _log.warning("closed_tenant_kept", tenant=pointer.tenant, faults=pointer.closed, advice=advice)
        self._serials[pointer.tenant] = pointer.serial
        return True

    def _remove(self, tenant: str, has: Revision | None) -> None:
        if has is not None:
            self._current.remove(tenant)
            self._metrics.reload("redis", "success")
            _log.info("tenant_removed", tenant=tenant, last_revision=str(has))

    def _load(self, pointer: Pointer, held: LoadedSnapshot | None) -> Blob:
        """Makes a revision current that is not the one held."""
        begun = time.perf_counter()
        tenant, revision = pointer.tenant, pointer.revision
        snapshot = self._patched(pointer, held.snapshot) if held else None
        if snapshot is None:
            try:
                blob = self._fetcher.whole(pointer)
                if blob is None:
                    raise Refused("missing", f"revision {revision} is not in Redis; the loader will publish it again")
                snapshot = self._opened(blob, pointer)
            except SnapshotError as error:
                raise Refused(cause_of(error), str(error)) from error
        # A rollback moves the pointer long after the revision was compiled, and its serial is the time of that.
        since = snapshot.compiled_at if pointer.serial == revision.number else pointer.serial / 1000
        self._current.replace(snapshot, "redis")
        self._metrics.synced(since)
        self._metrics.reload("redis", "success")
        seconds = round(time.perf_counter() - begun, 3)
        permissions = snapshot.counts.permissions
        _log.info("rules_loaded", tenant=tenant, revision=str(revision), permissions=permissions, seconds=seconds)
        return snapshot.blob

    def _patched(self, pointer: Pointer, held: Snapshot) -> Snapshot | None:
        """The snapshot made from the loaded one by deltas; None where deltas do not lead there, and the blob must."""
        try:
            blob = self._fetcher.patched(pointer, held)
            return self._opened(blob, pointer) if blob is not None else None
        except (SnapshotError, Refused, ResponseError) as error:  # the last: the Redis user may read no deltas
            _log.warning("delta_refused", tenant=pointer.tenant, revision=str(pointer.revision), problem=str(error))
            return None

    def _opened(self, blob: Blob, pointer: Pointer) -> Snapshot:
        """Opens a blob.

        Raises:
            SnapshotError: the blob cannot be used.
            Refused: the blob has another tenant or revision than the pointer.
        """
        snapshot = decode(blob, secrets=self._secrets)
        if (snapshot.tenant, snapshot.revision) != (pointer.tenant, pointer.revision):
            found = f"tenant {snapshot.tenant}, revision {snapshot.revision}"
            expected = f"the snapshot of revision {pointer.revision}"
            raise Refused("mismatch", f"{expected} is of {found}; publish the rules again")
        return snapshot

    def _refuse(self, tenant: str, raw: bytes, refused: Refused) -> None:
        """Remembers, counts and logs that a tenant's newest rules cannot be used."""
        last = self._refusals.get(tenant)
        delay = min(last.delay * 2, _RETRY[1]) if last and last.raw == raw else _RETRY[0]
        held = self._current.get(tenant)
        kept = str(held.snapshot.revision) if held else "none"
        problem = f"tenant {tenant}: {refused}"
        self._refusals[tenant] = _Refusal(raw, problem, time.monotonic() + delay, delay)
        self._metrics.reload("redis", "failure", refused.cause)
        _log.error("rules_refused", tenant=tenant, cause=refused.cause, problem=str(refused), revision_kept=kept)
