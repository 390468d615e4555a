"""Follows what a loader publishes in Redis, and never takes away what is loaded because Redis is.

A notification says which tenant's pointer moved; every few seconds all pointers are looked at besides, since a
notification can be lost. What they lead to is taken over in the follower's own thread (see ``uptake``). A pointer that
is missing means that Redis lost it; only a pointer that says so removes a tenant.

Once a second the server at the other end is asked whether it still is a master: behind an address that moves, a master
that was replaced goes on answering, and tells of no edit any more. Its connections are closed then, and made anew.
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

from pdp.rules.publication.keys import DEFAULT_PREFIX, Keys
from pdp.snapshots.fetch import Fetcher
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
"""Seconds that the follower may take to notice that it shall stop."""
_BACKOFF = (0.1, 5.0)
"""Seconds before the first attempt to reach Redis again, and at most."""
_ROLE_SECONDS = 1.0
"""Between two questions whether Redis still is a master."""
_REPLICA = "it is a replica: edits may not arrive, and no password is accepted; give the master's address"


class _Demoted(ConnectionError):
    """The Redis at the other end is a replica; perhaps the address leads to its master by now."""

    def __init__(self) -> None:
        super().__init__(_REPLICA)


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
        fetcher = Fetcher(client, self._keys, metrics, current.memory)
        self._uptake = Uptake(fetcher, current, metrics, secrets=secrets, store=store)
        self._recheck = recheck
        self._store = store
        self._replica = False
        """Whether the Redis at the other end was a replica at the last look."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)

    def start(self) -> None:
        """Begins to follow, without waiting for Redis, which may be down; what is on disk is loaded at once."""
        if self._store:
            self._uptake.load_stored(self._store)
        self._thread.start()

    def stop(self) -> None:
        """Ends following. What is loaded stays."""
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
        """Leaves the processor to workers.

        Not where this process answers itself: whoever answers waits for the interpreter's lock, and a thread of low
        priority might hold it and not come to give it back.
        """
        if self._current.answered_elsewhere:
            stand_back()

    def _follow(self, pubsub: PubSub) -> None:
        """Notification by notification, and all pointers every ``recheck`` seconds, until told to stop.

        Raises:
            RedisError: Redis cannot be asked any more, or is no master any more.
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
        """Whether the Redis at the other end says that it is a replica. A cluster's client looks after that itself."""
        if getattr(self._client, "connection_pool", None) is None:
            return False
        try:
            told = self._client.execute_command("HELLO")  # type: ignore[no-untyped-call] # redis
        except ResponseError:  # before Redis 6 there is no such command
            return False
        return b"replica" in (told if isinstance(told, list) else told.values())

    def _note_role(self, *, replica: bool) -> None:
        """Tells once that the Redis at the other end is a replica."""
        if replica and not self._replica:
            _log.warning("redis_is_replica", source=self._current.source, problem=_REPLICA)
            self._metrics.reload("redis", "failure", "replica")
        self._replica = replica
        self._metrics.redis_replica(replica=replica)

    def _lost(self, error: Exception) -> None:
        """Tells once that Redis cannot be reached; what is loaded goes on answering."""
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
        """Looks at every pointer."""
        pointers = cast("dict[bytes, bytes]", self._client.hgetall(self._keys.pointers))
        if self._current.source_error and not self._replica and not self._uptake.problems:
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
            self._uptake.take(tenant, raw)
        self._current.contacted_at = time.time()
        problems = [f"{self._current.source}: {_REPLICA}"] if self._replica else []
        self._current.source_error = "; ".join([*problems, *self._uptake.problems])
