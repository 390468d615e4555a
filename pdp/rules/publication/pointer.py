"""Pointers: which revision of a tenant is current, or that the tenant is gone; signed, where there is a key."""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pdp.rules.errors import SnapshotCorrupt, SnapshotUntrusted
from pdp.rules.model import Revision

if TYPE_CHECKING:
    from collections.abc import Sequence

_NUMBERS_END = 2**53
"""Above what any program on the way can hold exactly; Unix time will not get there."""
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
    """What the hash of pointers holds for a tenant.

    Attributes:
        tenant: its UUID.
        serial: rises whenever the tenant's pointer moves. Who has followed one pointer takes none with a lower serial.
        revision: the current one; its number is lower than the serial after a rollback. Of a tenant that is gone, the
            serial and no digest.
        removed: the tenant is gone.
        pinned: an operator chose this revision; loaders leave it alone until it is unpinned.
        permissions: how many the revision holds.
    """

    tenant: str
    serial: int
    revision: Revision
    removed: bool = False
    pinned: bool = False
    permissions: int = 0

    @classmethod
    def to(cls, tenant: str, revision: Revision, permissions: int) -> Pointer:
        """The pointer to a revision that is newly published."""
        return cls(tenant, revision.number, revision, permissions=permissions)

    @classmethod
    def to_nothing(cls, tenant: str, serial: int) -> Pointer:
        """The pointer of a tenant that is gone."""
        return cls(tenant, serial, Revision(serial, ""), removed=True)

    def dump(self, secret: bytes | None) -> bytes:
        """The pointer as Redis holds it."""
        signature = self._sign(secret) if secret else ""
        return json.dumps({**self._fields(), "signature": signature}, separators=(",", ":")).encode()

    @classmethod
    def load(cls, tenant: str, dumped: bytes, secrets: Sequence[bytes] = ()) -> Pointer:
        """Reads a pointer.

        Args:
            tenant: the UUID that it was found under.
            dumped: what ``dump`` returned.
            secrets: the deployment's keys, of which one must have signed it; none: no signature is asked for.

        Raises:
            SnapshotError: it is no pointer, or not a trusted one.
        """
        try:
            found = json.loads(dumped)
            fields = {name: found[name] for name in _TYPES}
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise SnapshotCorrupt("its pointer in Redis is not one of this release") from error
        if any(type(fields[name]) is not kind for name, kind in _TYPES.items()):
            raise SnapshotCorrupt("its pointer in Redis holds values of the wrong type")
        signature = fields.pop("signature")
        revision = Revision(fields.pop("number"), fields.pop("digest"))
        pointer = cls(tenant, revision=revision, **fields)
        if not (0 < revision.number <= pointer.serial < _NUMBERS_END):
            raise SnapshotCorrupt("its pointer in Redis holds a number that no loader gives")
        if secrets and not any(_equal(signature, pointer._sign(secret)) for secret in secrets):
            raise SnapshotUntrusted("pointer bears no valid signature")
        return pointer

    def _fields(self) -> dict[str, object]:
        return {
            "serial": self.serial,
            "number": self.revision.number,
            "digest": self.revision.digest,
            "removed": self.removed,
            "pinned": self.pinned,
            "permissions": self.permissions,
        }

    def _sign(self, secret: bytes) -> str:
        message = json.dumps(["pointer", self.tenant, self._fields()])
        return hmac.digest(secret, message.encode(), "sha256").hex()


def _equal(signature: str, expected: str) -> bool:
    return hmac.compare_digest(signature.encode("utf-8", "replace"), expected.encode())
