"""Candidates: revisions that servers compare their decisions with, chosen, made current, or dropped by an operator."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

from loader.publishing.redis_errors import translated
from pdp.rules.errors import SnapshotError
from pdp.rules.publication.candidate import Candidate
from pdp.rules.publication.keys import Keys, Scope
from pdp.rules.publication.scripts import NAMING

if TYPE_CHECKING:
    from redis import Redis

    from pdp.rules.model import Revision

_SET = (
    NAMING
    + """
call('HSET', KEYS[1], ARGV[1], ARGV[2])
call('PUBLISH', ARGV[3], ARGV[1])
return 1
"""
)
_DROP = (
    NAMING
    + """
local dropped = call('HDEL', KEYS[1], ARGV[1])
call('PUBLISH', ARGV[2], ARGV[1])
return dropped
"""
)


class Candidates:
    """The candidates in Redis, by tenant.

    Args:
        client: a connected client that returns bytes.
        name: the server's name in messages.
        secret: the deployment's key, which signs records; None: records are unsigned.
        scope: deployment and prefix of every key; covered by signatures.
    """

    def __init__(self, client: Redis, name: str, *, secret: bytes | None, scope: Scope) -> None:
        self._client = client
        self._name = name
        self._secret = secret
        self._scope = scope
        self._keys = Keys(scope.prefix)

    def all(self) -> dict[str, Candidate]:
        """Every candidate with a record that servers take.

        Raises:
            PublishError: Redis cannot be asked.
        """
        with translated(self._name):
            raws = cast("dict[bytes, bytes]", self._client.hgetall(self._keys.candidates))
        found = ((tenant.decode("utf-8", "replace"), raw) for tenant, raw in raws.items())
        return {tenant: one for tenant, raw in found if (one := self._read(tenant, raw)) is not None}

    def of(self, tenant: str) -> Candidate | None:
        """The candidate of a tenant; None where there is none that servers take.

        Raises:
            PublishError: Redis cannot be asked.
        """
        with translated(self._name):
            raw = cast("bytes | None", self._client.hget(self._keys.candidates, tenant))
        return self._read(tenant, raw) if raw is not None else None

    def set(self, tenant: str, revision: Revision, permissions: int) -> None:
        """Has servers compare their decisions with a revision, in the place of an earlier candidate.

        Raises:
            PublishError: Redis cannot be written to.
        """
        before = self.of(tenant)
        serial = max(before.serial + 1 if before is not None else 0, revision.number, time.time_ns() // 1_000_000)
        raw = Candidate(tenant, serial, revision, permissions).dump(self._secret, self._scope)
        with translated(self._name):
            self._client.eval(_SET, 1, self._keys.candidates, tenant, raw, self._keys.changes)

    def drop(self, tenant: str) -> bool:
        """Ends the comparison of a tenant; returns whether there was one.

        Raises:
            PublishError: Redis cannot be written to.
        """
        with translated(self._name):
            return bool(self._client.eval(_DROP, 1, self._keys.candidates, tenant, self._keys.changes))

    def _read(self, tenant: str, raw: bytes) -> Candidate | None:
        try:
            return Candidate.load(tenant, raw, (self._secret,) if self._secret else (), self._scope)
        except SnapshotError:
            return None
