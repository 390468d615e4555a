"""Pointers: which revision of a tenant is current, or that the tenant is gone; signed, where there is a key."""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pdp.rules.errors import SnapshotCorrupt, SnapshotMisplaced, SnapshotUntrusted
from pdp.rules.model import Revision
from pdp.rules.publication.manifest import NUMBERS_END

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pdp.rules.publication.keys import Scope

_TYPES = {
    "serial": int,
    "number": int,
    "digest": str,
    "removed": bool,
    "pinned": bool,
    "permissions": int,
    "signature": str,
}


@dataclass(frozen=True, slots=True)
class Pointer:
    """The value that the hash of pointers holds for a tenant.

    Attributes:
        tenant: the tenant's UUID.
        serial: rises whenever the tenant's pointer moves. A server that has followed one pointer takes none with a
            lower serial.
        revision: the current one; its number is lower than the serial after a rollback. Of a tenant that is gone, the
            serial and no digest.
        removed: the tenant is gone.
        pinned: an operator chose this revision; loaders leave the pointer alone until unpinned.
        permissions: the number of permissions in the revision.
        bound: whether the pointer names the deployment and prefix of its publication, and was checked for both;
            pointers of release 0.1 name neither.
        closed: the number of faults that keep the tenant closed; 0: the tenant's rules are in force.
    """

    tenant: str
    serial: int
    revision: Revision
    removed: bool = False
    pinned: bool = False
    permissions: int = 0
    bound: bool = field(default=False, compare=False)
    closed: int = 0

    @classmethod
    def to(cls, tenant: str, revision: Revision, permissions: int, closed: int = 0) -> Pointer:
        """The pointer to a revision that is newly published."""
        return cls(tenant, revision.number, revision, permissions=permissions, closed=closed)

    @classmethod
    def to_nothing(cls, tenant: str, serial: int) -> Pointer:
        """The pointer of a tenant that is gone."""
        return cls(tenant, serial, Revision(serial, ""), removed=True)

    def dump(self, secret: bytes | None, scope: Scope | None = None) -> bytes:
        """The pointer as Redis holds it.

        Args:
            secret: the key that signs the pointer; None: no signature.
            scope: the scope of the publication; None: the pointer names none, as in release 0.1.
        """
        # ``signature`` is over what servers of release 0.1 know, ``bound`` over the scope besides.
        signed: dict[str, object] = {"signature": self._sign(secret) if secret else ""}
        if scope is not None:
            signed |= {"scope": list(scope), "bound": self._sign(secret, scope) if secret else ""}
        return json.dumps({**self._fields(), **signed}, separators=(",", ":")).encode()

    @classmethod
    def load(cls, tenant: str, dumped: bytes, secrets: Sequence[bytes] = (), scope: Scope | None = None) -> Pointer:
        """Reads a pointer.

        Args:
            tenant: the UUID under which the pointer was found.
            dumped: the result of ``dump``.
            secrets: the deployment's keys, of which one must have signed the pointer; none: no signature is required.
            scope: the scope that the pointer must have, if the pointer names one; None: any.

        Raises:
            SnapshotError: the bytes are no pointer, not a trusted one, or one for another deployment or prefix.
        """
        try:
            found = json.loads(dumped)
            fields = {name: found[name] for name in _TYPES} | {"closed": found.get("closed", 0)}
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise SnapshotCorrupt("its pointer in Redis is not one of this release") from error
        if any(type(fields[name]) is not kind for name, kind in {**_TYPES, "closed": int}.items()):
            raise SnapshotCorrupt("its pointer in Redis holds values of the wrong type")
        signature = fields.pop("signature")
        revision = Revision(fields.pop("number"), fields.pop("digest"))
        pointer = cls(tenant, revision=revision, **fields)
        if not (0 < revision.number <= pointer.serial < NUMBERS_END):
            raise SnapshotCorrupt("its pointer in Redis holds a number that no loader gives")
        if secrets and not any(_equal(signature, pointer._sign(secret)) for secret in secrets):
            raise SnapshotUntrusted("pointer bears no valid signature")
        return pointer if scope is None or "scope" not in found else pointer._placed(found, secrets, scope)

    def _placed(self, found: Mapping[str, object], secrets: Sequence[bytes], scope: Scope) -> Pointer:
        """The pointer, if signed for this scope."""
        if found["scope"] != list(scope):
            raise SnapshotMisplaced("its pointer", scope, found["scope"])
        bound = str(found.get("bound"))
        if secrets and not any(_equal(bound, self._sign(secret, scope)) for secret in secrets):
            raise SnapshotUntrusted("pointer bears no valid signature for this deployment and prefix")
        return replace(self, bound=True)

    def _fields(self) -> dict[str, object]:
        return {
            "serial": self.serial,
            "number": self.revision.number,
            "digest": self.revision.digest,
            "removed": self.removed,
            "pinned": self.pinned,
            "permissions": self.permissions,
            # Only for closed tenants: servers of the release before know pointers without this key only.
            **({"closed": self.closed} if self.closed else {}),
        }

    def _sign(self, secret: bytes, scope: Scope | None = None) -> str:
        place = [] if scope is None else list(scope)
        message = json.dumps(["pointer", self.tenant, self._fields(), *place])
        return hmac.digest(secret, message.encode(), "sha256").hex()


def _equal(signature: str, expected: str) -> bool:
    return hmac.compare_digest(signature.encode("utf-8", "replace"), expected.encode())
