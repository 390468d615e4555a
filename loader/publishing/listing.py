"""The manifest as a loader keeps the list of tenants: known here even after a loss in Redis."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from loader.errors import PublishError
from pdp.rules.errors import SnapshotError, SnapshotMisplaced, SnapshotUntrusted
from pdp.rules.publication.manifest import Listed, Manifest
from pdp.rules.publication.scripts import NAMING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis import Redis

    from loader.publishing.lease import Lease
    from pdp.rules.publication.keys import Keys, Scope
    from pdp.rules.publication.pointer import Pointer

RENEW_SECONDS = 60.0
"""Age at which an unchanged manifest is signed again, so that the age tells whether a loader runs."""

_WRITE = (
    NAMING
    + """
if ARGV[3] ~= '' and call('GET', KEYS[2]) ~= ARGV[3] then return -1 end
if (call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
call('SET', KEYS[1], ARGV[2])
return 1
"""
)


class TenantList:
    """The manifest of one prefix.

    Args:
        client: a connected client that returns bytes.
        name: the server's name in messages.
        keys: the names of the keys.
        scope: deployment and prefix that the signature covers.
        secret: the deployment's key; None: the manifest is unsigned.
        lease: this loader's claim to lead, without which nothing is written; None: any loader may write.
    """

    def __init__(
        self, client: Redis, name: str, keys: Keys, scope: Scope, secret: bytes | None, lease: Lease | None
    ) -> None:
        self._client = client
        self._name = name
        self._keys = keys
        self._scope = scope
        self._secret = secret
        self._lease = lease
        self._known: Manifest | None = None
        self._raw = b""
        """The manifest in Redis, valid or not."""
        self._lost = True
        """Whether Redis lacks the known manifest."""

    @property
    def exists(self) -> bool:
        """Whether any manifest is known: from then on a pointer has to name deployment and prefix."""
        return self._known is not None

    @property
    def sequence(self) -> int:
        """The highest number of a manifest that is known; 0: none."""
        return self._known.sequence if self._known else 0

    @property
    def tenants(self) -> Mapping[str, Listed]:
        """The entries of the manifest, by tenant."""
        return self._known.tenants if self._known else {}

    def take(self, raw: bytes) -> None:
        """Reads the manifest from Redis; an untrusted one, or one older than the known one, counts as lost.

        Raises:
            PublishError: another deployment has this prefix.
        """
        self._raw, self._lost = raw, True
        if not raw:
            return
        try:
            found = Manifest.load(raw, (self._secret,) if self._secret else (), self._scope)
        except SnapshotMisplaced as error:
            raise PublishError(
                f"{error.got} publishes to {self._name} under {error.expected}: give each deployment a --redis-prefix "
                f"of its own; if that one is gone for good, delete the key {self._keys.manifest}"
            ) from error
        except SnapshotError:
            return
        if found.sequence >= self.sequence:
            self._known, self._lost = found, False

    def foreign(self, raw: bytes) -> str:
        """The reason why a manifest belongs to another deployment, for people; empty for an own manifest or none."""
        if not raw:
            return ""
        try:
            Manifest.load(raw, (self._secret,) if self._secret else (), self._scope)
        except (SnapshotMisplaced, SnapshotUntrusted) as error:
            advice = "give each deployment a --redis-prefix of its own, or this loader the other's key and --deployment"
            return f"another deployment publishes to {self._name} under the same prefix ({error}); {advice}"
        except SnapshotError:
            return ""
        return ""

    def write(
        self, expected: Mapping[str, int], pointers: Mapping[str, Pointer], *, complete: bool, least: int
    ) -> None:
        """Writes the list of tenants if the list changed, or if the last manifest is old.

        Args:
            expected: the tenants of the source, with the number of faults of a closed one, else 0.
            pointers: the pointers of published tenants, and of removed ones.
            complete: whether the source has no others.
            least: the lowest allowed number of the manifest.

        Raises:
            PublishError: the manifest was not written.
        """
        known = self._known
        tenants = self._listed(expected, pointers, complete=complete)
        complete = complete or (known is not None and known.complete)
        now = time.time_ns() // 1_000_000
        if known is not None and not self._lost and (known.tenants, known.complete) == (tenants, complete):
            age = abs(now - known.signed_at) / 1000
            if age < RENEW_SECONDS:
                return
        self._put(Manifest(self._scope, max(least, self.sequence + 1), now, tenants, complete))

    def _listed(
        self, expected: Mapping[str, int], pointers: Mapping[str, Pointer], *, complete: bool
    ) -> dict[str, Listed]:
        """Every tenant that there is, with the pointer that stands; of one whose pointer is lost, the last known."""
        tenants = {
            tenant: Listed(pointer.serial, str(pointer.revision))
            for tenant, pointer in pointers.items()
            if not pointer.removed
        }
        for tenant, closed in expected.items():
            if tenant in pointers and pointers[tenant].removed:  # comes back, by a pointer above the published one
                tenants[tenant] = Listed(pointers[tenant].serial + 1, "", closed)
            elif tenant not in tenants:
                before = self.tenants.get(tenant, Listed())
                tenants[tenant] = Listed(before.serial, before.revision, closed)
        if not complete:
            for tenant, listed in self.tenants.items():
                if tenant not in pointers:
                    tenants.setdefault(tenant, listed)
        return tenants

    def _put(self, manifest: Manifest) -> None:
        token = self._lease.token if self._lease else b""
        raw = manifest.dump(self._secret)
        args = (self._raw, raw, token)
        leads = self._lease is None or bool(token)
        done = self._client.eval(_WRITE, 2, self._keys.manifest, self._keys.leader, *args) if leads else -1
        if done == -1:
            raise PublishError("the tenants are not listed: this loader no longer leads")
        if done == 0:
            raise PublishError(f"the tenants were listed in {self._name} by somebody else at the same time")
        self._known, self._raw, self._lost = manifest, raw, False
