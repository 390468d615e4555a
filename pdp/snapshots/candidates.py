"""Following the candidates in Redis: the revisions that decide no call, and that decisions are compared with.

Nothing here touches the snapshots that decide: a candidate that cannot be used is named in the log, tried again later,
and compared with nothing meanwhile. A record that is gone ends the comparison.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, cast

import structlog
from redis.exceptions import NoPermissionError, ResponseError

from pdp.rules.errors import SnapshotError
from pdp.rules.publication.candidate import Candidate
from pdp.rules.publication.pointer import Pointer
from pdp.rules.snapshot.snapshot import decode
from pdp.snapshots.refusal import Refused, cause_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from redis import Redis

    from pdp.rules.publication.keys import Keys, Scope
    from pdp.rules.snapshot.snapshot import Snapshot
    from pdp.snapshots.current import CurrentSnapshots
    from pdp.snapshots.fetch import Fetcher

_log = structlog.get_logger()

MAX_CANDIDATES = 50
"""Largest number of candidates that a server holds: each takes the memory of its tenant's rules again."""
_TOO_MANY = "too_many"
"""The cause for further ones; refused candidates are in the log, and in no metric of reloads."""
_RETRY_SECONDS = 30.0
"""Seconds before a refused candidate is fetched again: a blob can be large."""


class _Refusal(NamedTuple):
    """A record whose revision was refused, and the time of the next attempt, by ``time.monotonic``."""

    raw: bytes
    problem: str
    retry_at: float


class CandidateUptake:
    """Keeps the candidates equal to those in Redis. For one thread.

    Args:
        client: a connected client that returns bytes.
        fetcher: fetches blobs.
        current: where candidates are compared with.
        keys: the names of the keys.
        scope: scope that records must be signed for.
        secrets: the deployment's keys, of which one must have signed a record and its snapshot; none: no signature is
            required.
    """

    def __init__(
        self,
        client: Redis,
        fetcher: Fetcher,
        current: CurrentSnapshots,
        *,
        keys: Keys,
        scope: Scope,
        secrets: Sequence[bytes] = (),
    ) -> None:
        self._client = client
        self._fetcher = fetcher
        self._current = current
        self._keys = keys
        self._scope = scope
        self._secrets = tuple(secrets)
        self._serials: dict[str, int] = {}
        """By tenant, the serial of the last record followed."""
        self._refusals: dict[str, _Refusal] = {}
        self._unreadable = ""
        """The problem of the records as a whole, as it was logged; empty: none."""

    def look(self, tenants: Iterable[str] | None = None) -> None:
        """Follows the records of these tenants; None: of all.

        Raises:
            RedisError: Redis cannot be reached.
        """
        try:
            found = self._read(tenants)
        except (NoPermissionError, ResponseError) as error:
            self._tell_unreadable(str(error))
            return
        self._tell_unreadable("")
        for tenant, raw in found.items():
            if raw is None:
                self._end(tenant)
            else:
                self._take(tenant, raw)

    def _read(self, tenants: Iterable[str] | None) -> dict[str, bytes | None]:
        """The records, by tenant; None for a tenant that has none any more."""
        if tenants is not None:
            names = sorted(tenants)
            raws = cast("list[bytes | None]", self._client.hmget(self._keys.candidates, names))
            return dict(zip(names, raws, strict=True))
        there = cast("dict[bytes, bytes]", self._client.hgetall(self._keys.candidates))
        known = self._current.candidates.keys() | self._refusals.keys()
        return dict.fromkeys(known) | {tenant.decode("utf-8", "replace"): raw for tenant, raw in there.items()}

    def _end(self, tenant: str) -> None:
        self._refusals.pop(tenant, None)
        held = self._current.candidates.get(tenant)
        if held is not None:
            self._current.set_candidate(tenant, None)
            _log.info("candidate_ended", tenant=tenant, revision=str(held.revision))

    def _take(self, tenant: str, raw: bytes) -> None:
        refusal = self._refusals.get(tenant)
        if refusal is not None and refusal.raw == raw and time.monotonic() < refusal.retry_at:
            return
        try:
            self._follow(tenant, raw)
            self._refusals.pop(tenant, None)
        except Refused as refused:
            self._refuse(tenant, raw, refused)
        except SnapshotError as error:
            self._refuse(tenant, raw, Refused(cause_of(error), str(error)))
        except ResponseError as error:  # a key of this tenant holds another type, say
            self._refuse(tenant, raw, Refused("unreadable", f"Redis does not give it out: {error}"))

    def _follow(self, tenant: str, raw: bytes) -> None:
        """Holds the revision of a record, if another one is held.

        Raises:
            Refused: the record or its revision cannot be used.
            SnapshotError: the same.
        """
        candidate = Candidate.load(tenant, raw, self._secrets, self._scope)
        if candidate.serial < self._serials.get(tenant, 0):
            raise Refused("rolled_back", f"its record of {candidate.revision} is older than one that was followed")
        held = self._current.candidates.get(tenant)
        if held is None or held.revision != candidate.revision:
            if held is None and len(self._current.candidates) >= MAX_CANDIDATES:
                raise Refused(_TOO_MANY, f"this server compares {MAX_CANDIDATES} tenants already; drop a candidate")
            snapshot = self._opened(candidate)
            self._current.set_candidate(tenant, snapshot)
            _log.info("candidate_loaded", tenant=tenant, revision=str(snapshot.revision))
        self._serials[tenant] = candidate.serial

    def _opened(self, candidate: Candidate) -> Snapshot:
        blob = self._fetcher.whole(Pointer.to(candidate.tenant, candidate.revision, candidate.permissions))
        if blob is None:
            raise Refused("missing", f"revision {candidate.revision} is not in Redis; load the candidate again")
        snapshot = decode(blob, secrets=self._secrets)
        if (snapshot.tenant, snapshot.revision) != (candidate.tenant, candidate.revision):
            found = f"tenant {snapshot.tenant}, revision {snapshot.revision}"
            raise Refused("mismatch", f"the snapshot of revision {candidate.revision} is of {found}")
        return snapshot

    def _refuse(self, tenant: str, raw: bytes, refused: Refused) -> None:
        last = self._refusals.get(tenant)
        self._refusals[tenant] = _Refusal(raw, str(refused), time.monotonic() + _RETRY_SECONDS)
        held = self._current.candidates.get(tenant)
        if last is None or (last.raw, last.problem) != (raw, str(refused)):
            kept = str(held.revision) if held is not None else "none"
            _log.error(
                "candidate_refused", tenant=tenant, cause=refused.cause, problem=str(refused), candidate_kept=kept
            )

    def _tell_unreadable(self, problem: str) -> None:
        if problem and problem != self._unreadable:
            advice = f"give the server's Redis user HGETALL and HMGET on {self._keys.candidates}"
            _log.warning("candidates_unreadable", problem=problem, advice=advice)
        self._unreadable = problem
