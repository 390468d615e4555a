"""Follows what a loader publishes in Redis, and never takes away what is loaded because Redis is.

A notification says which tenant's pointer moved; every few seconds all pointers are looked at besides, since a
notification can be lost. A blob is fetched (see ``fetching``), checked and opened here, in the follower's own thread,
becomes current by one assignment, and is freed here when the next one has taken its place. What cannot be used is
refused, counted by cause and told in the log, and the tenant keeps the snapshot that it had. A pointer that is missing
means that Redis lost it; only a pointer that says so removes a tenant.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import structlog
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError

from pdp.rules.errors import (
    SnapshotCorrupt,
    SnapshotError,
    SnapshotForeign,
    SnapshotTruncated,
    SnapshotUntrusted,
)
from pdp.rules.publication.keys import DEFAULT_PREFIX, Keys
from pdp.rules.publication.pointer import Pointer
from pdp.rules.snapshot.snapshot import decode
from pdp.snapshots.fetch import Fetcher
from pdp.snapshots.priority import stand_back

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from redis import Redis
    from redis.client import PubSub

    from pdp.metrics.registry import Metrics
    from pdp.rules.model import Revision
    from pdp.rules.snapshot.blob import Blob
    from pdp.rules.snapshot.snapshot import Snapshot
    from pdp.snapshots.current import CurrentSnapshots, Held
    from pdp.snapshots.disk import SnapshotStore

_log = structlog.get_logger()

DEFAULT_RECHECK = 5.0
_POLL = 0.25
"""Seconds that the follower may take to notice that it shall stop."""
_BACKOFF = (0.1, 5.0)
"""Seconds before the first attempt to reach Redis again, and at most."""
_RETRY = (5.0, 300.0)
"""Seconds before the same refused revision is fetched again, and at most: a blob can be large."""
_CAUSES: tuple[tuple[type[SnapshotError], str], ...] = (
    (SnapshotTruncated, "truncated"),
    (SnapshotForeign, "foreign"),
    (SnapshotCorrupt, "corrupt"),
    (SnapshotUntrusted, "untrusted"),
)


class _Refused(Exception):
    """What was published of a tenant cannot be used."""

    def __init__(self, cause: str, problem: str) -> None:
        self.cause = cause
        super().__init__(problem)


@dataclass(frozen=True, slots=True)
class _Refusal:
    """A pointer that led to nothing usable, and when it is worth another look, by ``time.monotonic``."""

    raw: bytes
    problem: str
    retry_at: float
    delay: float


class Follower:
    """Keeps the current snapshots the same as what Redis holds, in a thread of its own.

    Args:
        client: a connected client that returns bytes; its timeouts bound how long a hung Redis goes unnoticed.
        current: where snapshots become current.
        metrics: counts what was loaded and what was refused.
        prefix: of every key.
        secrets: the deployment's keys, of which one must have signed what is loaded; none: no signature is asked for.
        recheck: seconds between two looks at all pointers.
        store: keeps what is loaded on disk, and has it when Redis has not; None: nothing is kept.
    """

    def __init__(
        self,
        client: Redis,
        current: CurrentSnapshots,
        metrics: Metrics,
        *,
        prefix: str = DEFAULT_PREFIX,
        secrets: Sequence[bytes] = (),
        recheck: float = DEFAULT_RECHECK,
        store: SnapshotStore | None = None,
    ) -> None:
        self._client = client
        self._current = current
        self._metrics = metrics
        self._keys = Keys(prefix)
        self._fetcher = Fetcher(client, self._keys, metrics, current.memory)
        self._secrets = tuple(secrets)
        self._recheck = recheck
        self._store = store
        self._refusals: dict[str, _Refusal] = {}
        self._serials: dict[str, int] = {}
        """Of each tenant, the serial of the last pointer that was followed."""
        self._leaving: list[Held] = []
        """What was current until a moment ago: a call that is being decided must not be the one to free it."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)

    def start(self) -> None:
        """Begins to follow, without waiting for Redis, which may be down; what is on disk is loaded at once."""
        if self._store:
            self._load_stored(self._store)
        self._thread.start()

    def stop(self) -> None:
        """Ends following. What is loaded stays."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _load_stored(self, store: SnapshotStore) -> None:
        """Takes what the store has. It is as old as it is; Redis has the last word as soon as it is reached."""
        for pointer, snapshot, error in store.load(self._current.memory):
            if error is not None:
                self._metrics.reload("disk", "failure", _cause(error))
                _log.error("stored_rules_refused", tenant=pointer.tenant, problem=str(error))
                continue
            self._serials[pointer.tenant] = pointer.serial
            if snapshot is not None:
                self._current.replace(snapshot, "disk")
                self._metrics.reload("disk", "success")
                _log.info("stored_rules_loaded", tenant=pointer.tenant, revision=str(pointer.revision))

    def _run(self) -> None:
        backoff = _BACKOFF[0]
        while not self._stop.is_set():
            if self._current.ready:  # calls are answered
                self._stand_back()
            connected = False
            try:
                with self._client.pubsub(ignore_subscribe_messages=True) as pubsub:  # type: ignore[no-untyped-call] # redis
                    pubsub.subscribe(self._keys.changes)  # before the first look, so that nothing falls in between
                    self._check_all()
                    connected = True
                    self._stand_back()
                    self._follow(pubsub)
            except (RedisError, OSError) as error:
                self._lost(error)
            except Exception:  # noqa: BLE001 - a defect here must not end the following: the next round may succeed
                _log.exception("follower_failed", advice="please report this; the follower goes on")
                self._metrics.reload("redis", "failure", "internal")
            backoff = _BACKOFF[0] if connected else min(backoff * 2, _BACKOFF[1])
            self._stop.wait(backoff * random.uniform(0.5, 1))  # noqa: S311 - spreads load, guards nothing

    @property
    def _gently(self) -> bool:
        """Whether calls are being answered by this very process."""
        return self._current.ready and not self._current.answered_elsewhere

    def _stand_back(self) -> None:
        """Leaves the processor to workers.

        Not where this process answers itself: whoever answers waits for the interpreter's lock, and a thread of low
        priority might hold it and not come to give it back.
        """
        if self._current.answered_elsewhere:
            stand_back()

    def _follow(self, pubsub: PubSub) -> None:
        """Notification by notification, and all pointers every ``recheck`` seconds, until told to stop."""
        due = time.monotonic() + self._recheck
        while not self._stop.is_set():
            message = pubsub.get_message(timeout=min(_POLL, max(due - time.monotonic(), 0.001)))
            self._leaving.clear()
            changed: set[str] = set()
            while message is not None:
                changed.add(message["data"].decode("utf-8", "replace"))
                message = pubsub.get_message(timeout=0)
            if changed:
                self._check(changed)
            if time.monotonic() >= due:
                self._check_all()
                due = time.monotonic() + self._recheck

    def _lost(self, error: Exception) -> None:
        """Tells once that Redis cannot be reached; what is loaded goes on answering."""
        if isinstance(error, AuthenticationError):
            problem = "it refused the credentials; check user and password in the Redis URL"
        elif isinstance(error, NoPermissionError):
            problem = f"it refused a command ({error}); give the server's Redis user its rights"
        else:
            problem = f"{error}; check that it is up and reachable"
        message = f"{self._current.source}: {problem}"
        if message != self._current.source_error:
            held = len(self._current.held())
            _log.warning("redis_unreachable", source=self._current.source, problem=problem, tenants_kept=held)
        self._current.source_error = message
        self._metrics.redis_up(up=False)
        self._metrics.reload("redis", "failure", "unreachable")

    def _check_all(self) -> None:
        """Looks at every pointer."""
        pointers = cast("dict[bytes, bytes]", self._client.hgetall(self._keys.pointers))
        if self._current.source_error and not self._refusals:
            _log.info("redis_reached", source=self._current.source)
        self._metrics.redis_up(up=True)
        self._take({tenant.decode("utf-8", "replace"): raw for tenant, raw in pointers.items()})

    def _check(self, tenants: Iterable[str]) -> None:
        """Looks at the pointers of these tenants."""
        names = sorted(tenants)
        raws = cast("list[bytes | None]", self._client.hmget(self._keys.pointers, names))
        self._take({name: raw for name, raw in zip(names, raws, strict=True) if raw is not None})

    def _take(self, pointers: Mapping[str, bytes]) -> None:
        for tenant, raw in pointers.items():
            if self._stop.is_set():
                return
            refusal = self._refusals.get(tenant)
            if refusal and refusal.raw == raw and time.monotonic() < refusal.retry_at:
                continue
            try:
                self._follow_pointer(tenant, raw)
                self._refusals.pop(tenant, None)
            except _Refused as refused:
                self._refuse(tenant, raw, refused)
        self._current.contacted_at = time.time()
        self._current.source_error = "; ".join(refusal.problem for refusal in self._refusals.values())

    def _follow_pointer(self, tenant: str, raw: bytes) -> None:
        """Makes what a pointer says current, if it is not yet.

        Raises:
            _Refused: it, or what it leads to, cannot be used.
        """
        try:
            pointer = Pointer.load(tenant, raw, self._secrets)
        except SnapshotError as error:
            raise _Refused(_cause(error), str(error)) from error
        held = self._current.get(tenant)
        has = held.snapshot.revision if held else None
        known = self._serials.get(tenant)
        settled = (
            held is None if pointer.removed else has == pointer.revision and held is not None and held.origin == "redis"
        )
        if pointer.serial == known and settled:
            return
        newest = known if known is not None else has.number if has else 0
        if pointer.serial < newest or (pointer.serial == newest and has not in (None, pointer.revision)):
            raise _Refused("rolled_back", f"its pointer to {pointer.revision} is not newer than what was followed")
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
        if self._store:
            self._store.save(pointer, raw, blob)

    def _remove(self, tenant: str, has: Revision | None) -> None:
        if has is not None:
            self._current.remove(tenant)
            self._metrics.reload("redis", "success")
            _log.info("tenant_removed", tenant=tenant, last_revision=str(has))

    def _load(self, pointer: Pointer, held: Held | None) -> Blob:
        """Makes a revision current that is not the one held."""
        begun = time.perf_counter()
        tenant, revision = pointer.tenant, pointer.revision
        snapshot = self._patched(pointer, held.snapshot) if held else None
        if snapshot is None:
            try:
                blob = self._fetcher.whole(pointer, gently=self._gently)
                if blob is None:
                    raise _Refused("missing", f"revision {revision} is not in Redis; the loader will publish it again")
                snapshot = self._opened(blob, pointer)
            except SnapshotError as error:
                raise _Refused(_cause(error), str(error)) from error
        # A rollback moves the pointer long after the revision was compiled, and its serial is the time of that.
        since = snapshot.compiled_at if pointer.serial == revision.number else pointer.serial / 1000
        self._current.replace(snapshot, "redis", since)
        self._metrics.synced(since)
        self._metrics.reload("redis", "success")
        seconds = round(time.perf_counter() - begun, 3)
        permissions = snapshot.counts.permissions
        _log.info("rules_loaded", tenant=tenant, revision=str(revision), permissions=permissions, seconds=seconds)
        return snapshot.blob

    def _patched(self, pointer: Pointer, held: Snapshot) -> Snapshot | None:
        """The snapshot that deltas make of the one that is held; None where they do not: the blob is there as well."""
        try:
            blob = self._fetcher.patched(pointer, held, gently=self._gently)
            return self._opened(blob, pointer) if blob is not None else None
        except (SnapshotError, _Refused, ResponseError) as error:  # the last: the Redis user may read no deltas
            _log.warning("delta_refused", tenant=pointer.tenant, revision=str(pointer.revision), problem=str(error))
            return None

    def _opened(self, blob: Blob, pointer: Pointer) -> Snapshot:
        """Opens a blob.

        Raises:
            SnapshotError: it cannot be used.
            _Refused: it is not what the pointer says.
        """
        snapshot = decode(blob, secrets=self._secrets, gently=self._gently)
        if (snapshot.tenant, snapshot.revision) != (pointer.tenant, pointer.revision):
            found = f"tenant {snapshot.tenant}, revision {snapshot.revision}"
            expected = f"the snapshot of revision {pointer.revision}"
            raise _Refused("mismatch", f"{expected} is of {found}; publish the rules again")
        return snapshot

    def _refuse(self, tenant: str, raw: bytes, refused: _Refused) -> None:
        """Remembers, counts and tells that a tenant's newest rules cannot be used."""
        last = self._refusals.get(tenant)
        delay = min(last.delay * 2, _RETRY[1]) if last and last.raw == raw else _RETRY[0]
        held = self._current.get(tenant)
        kept = str(held.snapshot.revision) if held else "none"
        problem = f"tenant {tenant}: {refused}"
        self._refusals[tenant] = _Refusal(raw, problem, time.monotonic() + delay, delay)
        self._metrics.reload("redis", "failure", refused.cause)
        _log.error("rules_refused", tenant=tenant, cause=refused.cause, problem=str(refused), revision_kept=kept)


def _cause(error: SnapshotError) -> str:
    return next((cause for kind, cause in _CAUSES if isinstance(error, kind)), "unusable")
