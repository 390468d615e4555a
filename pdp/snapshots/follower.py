"""Follows a loader's publications in Redis, and keeps loaded snapshots while Redis is away.

A notification says which tenant's pointer moved; every few seconds all pointers are read besides, since a
notification can be lost. The pointers' snapshots are taken over in the follower's own thread (see ``uptake``). A
missing pointer means that Redis lost the key; only a pointer that says so removes a tenant.

Once a second the follower checks that the server is still a master: behind an address that moves, a replaced master
goes on answering, without notifications of edits. The connections are closed then, and made anew.
"""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING, cast

import structlog
from redis.exceptions import (
    AuthenticationError,
    ConnectionError,  # noqa: A004 - redis-py's own
    NoPermissionError,
    RedisError,
    ResponseError,
)

from pdp.rules.publication.keys import DEFAULT_SCOPE, Keys, Scope
from pdp.rules.publication.numbers import dump_followed, load_followed
from pdp.runtime.watchdog import ThreadWatch
from pdp.snapshots.candidates import CandidateUptake
from pdp.snapshots.fetch import Fetcher
from pdp.snapshots.listing import Listing
from pdp.snapshots.notices import Notices
from pdp.snapshots.priority import stand_back
from pdp.snapshots.uptake import Uptake

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from redis import Redis
    from redis.client import PubSub

    from pdp.metrics.registry import Metrics
    from pdp.snapshots.current import CurrentSnapshots
    from pdp.snapshots.disk import SnapshotStore

_log = structlog.get_logger()

DEFAULT_RECHECK = 5.0
_POLL = 0.25
"""Seconds within which the follower notices a stop."""
_BACKOFF = (0.1, 5.0)
"""Seconds before the first attempt to reach Redis again, and at most."""
_ROLE_SECONDS = 1.0
"""Seconds between two checks that Redis still is a master."""
_REPLICA = "it is a replica: edits may not arrive, and no password is accepted; give the master's address"


class _Demoted(ConnectionError):
    """The Redis at the other end is a replica; perhaps the address leads to the master by now."""

    def __init__(self) -> None:
        super().__init__(_REPLICA)


class Follower:
    """Keeps the current snapshots equal to those in Redis, in a separate thread.

    Args:
        client: a connected client that returns bytes; the timeouts bound how long a hung Redis goes unnoticed.
        current: where snapshots become current.
        metrics: counts loaded and refused snapshots.
        scope: deployment and prefix of every key; signatures must hold for it.
        secrets: the deployment's keys, of which one must have signed a snapshot; none: no signature is required.
        recheck: seconds between two looks at all pointers.
        store: keeps loaded snapshots on disk, for when Redis has none; None: nothing is kept.
        require_manifest: whether rules without a manifest are refused, though a loader of release 0.1 makes none.
        most_age: seconds after which a manifest is too old for a server that starts; 0: none is.
        patience: seconds for which the client waits for Redis.
    """

    def __init__(  # noqa: PLR0913 - each is an option of the server
        self,
        client: Redis,
        current: CurrentSnapshots,
        metrics: Metrics,
        *,
        scope: Scope = DEFAULT_SCOPE,
        secrets: Sequence[bytes] = (),
        recheck: float = DEFAULT_RECHECK,
        store: SnapshotStore | None = None,
        require_manifest: bool = False,
        most_age: float = 0.0,
        patience: float = 0.0,
    ) -> None:
        self._client = client
        self._current = current
        self._metrics = metrics
        self._keys = Keys(scope.prefix)
        fetcher = Fetcher(client, self._keys, metrics)
        self._scope = scope
        self._secrets = tuple(secrets)
        self._listing = Listing(
            current,
            metrics,
            scope=scope,
            secrets=secrets,
            required=require_manifest,
            most_age=most_age,
            store=store,
        )
        self._uptake = Uptake(fetcher, current, self._listing, metrics, scope=scope, secrets=secrets, store=store)
        self._candidates = CandidateUptake(client, fetcher, current, keys=self._keys, scope=scope, secrets=secrets)
        self._recheck = recheck
        self._store = store
        self._replica = False
        """Whether the Redis at the other end was a replica at the last look."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self._watch = ThreadWatch("follower-watch", lambda: [self._thread], lambda: patience)
        metrics.watch_follower(lambda: self._watch.stuck)

    def start(self) -> None:
        """Begins to follow, without waiting for Redis, which may be down; snapshots on disk are loaded at once."""
        self._current.await_all()
        if self._store:
            self._listing.load_stored(self._store)
            self._listing.point(self._uptake.load_stored(self._store), whole=True)
            self._listing.settle(self._uptake.gone, whole=True)
        self._thread.start()
        self._watch.start()

    def stop(self) -> None:
        """Ends following. Loaded snapshots stay."""
        self._watch.stop()
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        backoff = _BACKOFF[0]
        while not self._stop.is_set():
            if self._current.ready:  # calls are answered
                self._stand_back()
            connected = False
            try:
                with self._client.pubsub(ignore_subscribe_messages=True) as pubsub:  # type: ignore[no-untyped-call] # redis
                    pubsub.subscribe(self._keys.changes)  # before the first look, so that nothing falls in between
                    self._note_role(replica=self._is_replica())
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

    def _stand_back(self) -> None:
        """Leaves the processor to the threads that decide calls.

        Not where Python decides: a thread of low priority might hold the interpreter's lock, which the deciding threads
        wait for, and not be scheduled to release that lock.
        """
        if self._current.answered_elsewhere:
            stand_back()

    def _follow(self, pubsub: PubSub) -> None:
        """Follows each notification, and all pointers every ``recheck`` seconds, until stopped.

        Raises:
            RedisError: Redis cannot be reached any more, or is no master any more.
        """
        notices = Notices(pubsub)
        due, role_due = time.monotonic() + self._recheck, time.monotonic() + _ROLE_SECONDS
        while not self._stop.is_set():
            changed = notices.wait(min(_POLL, max(due - time.monotonic(), 0.001)))
            self._uptake.release()
            if changed:
                self._check(changed)
            if time.monotonic() >= role_due:
                self._note_role(replica=self._is_replica())
                if self._replica:
                    raise _Demoted
                role_due = time.monotonic() + _ROLE_SECONDS
            if time.monotonic() >= due:
                self._check_all()
                due = time.monotonic() + self._recheck

    def _is_replica(self) -> bool:
        """Whether the Redis at the other end reports to be a replica. A cluster's client checks that itself."""
        if getattr(self._client, "connection_pool", None) is None:
            return False
        try:
            told = self._client.execute_command("HELLO")  # type: ignore[no-untyped-call] # redis
        except ResponseError:  # before Redis 6 there is no such command
            return False
        return b"replica" in (told if isinstance(told, list) else told.values())

    def _note_role(self, *, replica: bool) -> None:
        """Logs once that the Redis at the other end is a replica."""
        if replica and not self._replica:
            _log.warning("redis_is_replica", source=self._current.source, problem=_REPLICA)
            self._metrics.reload("redis", "failure", "replica")
        self._replica = replica
        self._metrics.redis_replica(replica=replica)

    def _lost(self, error: Exception) -> None:
        """Logs once that Redis cannot be reached; loaded snapshots go on answering."""
        if isinstance(error, _Demoted):
            self._client.connection_pool.disconnect()  # the next ones may lead to a master
            return
        if isinstance(error, AuthenticationError):
            problem = f"it refused the credentials; check user and password in the Redis URL ({error})"
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
        """Looks at the manifest, and at every pointer, which are never older than that."""
        manifest = cast("bytes | None", self._client.get(self._keys.manifest))
        found = cast("dict[bytes, bytes]", self._client.hgetall(self._keys.pointers))
        if self._current.source_error and not self._replica and not self._uptake.problems:
            _log.info("redis_reached", source=self._current.source)
        self._metrics.redis_up(up=True)
        pointers = {tenant.decode("utf-8", "replace"): raw for tenant, raw in found.items()}
        self._list(manifest, pointers, whole=True)
        self._uptake.forget_others(pointers)
        self._take(pointers, whole=True)
        if self._uptake.rolled_back or self._listing.rolled_back:
            self._tell_followed()
        self._candidates.look()

    def _check(self, tenants: Iterable[str]) -> None:
        """Reads the pointers of these tenants; the manifest as well, where one of the tenants is not listed yet."""
        pointers = self._pointers_of(tenants)
        if not all(map(self._listing.lists, pointers)):
            manifest = cast("bytes | None", self._client.get(self._keys.manifest))
            pointers = self._pointers_of(tenants)
            self._list(manifest, pointers, whole=False)
        self._take(pointers, whole=False)
        self._candidates.look(tenants)

    def _pointers_of(self, tenants: Iterable[str]) -> dict[str, bytes]:
        names = sorted(tenants)
        raws = cast("list[bytes | None]", self._client.hmget(self._keys.pointers, names))
        return {name: raw for name, raw in zip(names, raws, strict=True) if raw is not None}

    def _list(self, manifest: bytes | None, pointers: Mapping[str, bytes], *, whole: bool) -> None:
        """Takes over the manifest, and reports missing tenants before any listed snapshot is taken over."""
        if self._listing.take(manifest, pointers, whole=whole):
            self._uptake.look_again()
        self._listing.settle(self._uptake.gone, whole=False)

    def _take(self, pointers: Mapping[str, bytes], *, whole: bool) -> None:
        self._uptake.rolled_back = False
        for tenant, raw in pointers.items():
            if self._stop.is_set():
                return
            self._uptake.take(tenant, raw)
        self._listing.settle(self._uptake.gone, whole=whole)
        self._current.contacted_at = time.time()
        problems = [f"{self._current.source}: {_REPLICA}"] if self._replica else []
        problems += [one for one in (self._listing.problem, self._listing.lack) if one]
        self._current.source_error = "; ".join([*dict.fromkeys(problems), *self._uptake.problems])

    def _tell_followed(self) -> None:
        """Says in Redis how high the numbers are that were followed here: the loader has to give higher ones."""
        number = max(self._uptake.highest, self._listing.sequence)
        said = cast("bytes | None", self._client.get(self._keys.followed))
        if load_followed(said, self._secrets, self._scope) >= number:
            return
        secret = self._secrets[0] if self._secrets else None
        try:
            self._client.set(self._keys.followed, dump_followed(number, secret, self._scope))
        except ResponseError as error:
            advice = f"give the server's Redis user SET on {self._keys.followed}, or see rolled_back in the runbook"
            _log.warning("followed_not_told", number=number, problem=str(error), advice=advice)
