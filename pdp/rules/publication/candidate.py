"""Candidates: the revision of a tenant that servers compare their decisions with; signed, where there is a key.

A candidate decides no call, so its record stands beside the pointers and is none: no signature of the one is good for
the other. In Redis it is JSON:

    {"serial": INTEGER, "number": INTEGER, "digest": TEXT, "permissions": INTEGER, "signature": HEXADECIMAL}

``serial`` rises with every record of a tenant, so that a server that has followed one takes no earlier one. The
signature covers tenant, deployment and prefix besides. A record that is missing ends the comparison.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pdp.rules.errors import SnapshotCorrupt, SnapshotUntrusted
from pdp.rules.model import Revision
from pdp.rules.publication.manifest import NUMBERS_END

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.rules.publication.keys import Scope

_TYPES = {"serial": int, "number": int, "digest": str, "permissions": int, "signature": str}


@dataclass(frozen=True, slots=True)
class Candidate:
    """The candidate of a tenant.

    Attributes:
        tenant: the tenant's UUID.
        serial: rises with every record of the tenant.
        revision: the revision to compare with.
        permissions: the number of permissions in the revision.
    """

    tenant: str
    serial: int
    revision: Revision
    permissions: int = 0

    def dump(self, secret: bytes | None, scope: Scope) -> bytes:
        """The record as Redis holds it.

        Args:
            secret: the key that signs the record; None: no signature.
            scope: deployment and prefix that the signature covers.
        """
        fields = {
            "serial": self.serial,
            "number": self.revision.number,
            "digest": self.revision.digest,
            "permissions": self.permissions,
            "signature": self._sign(secret, scope) if secret else "",
        }
        return json.dumps(fields, separators=(",", ":")).encode()

    @classmethod
    def load(cls, tenant: str, dumped: bytes, secrets: Sequence[bytes], scope: Scope) -> Candidate:
        """Reads a record.

        Args:
            tenant: the UUID under which the record was found.
            dumped: the result of ``dump``.
            secrets: the deployment's keys, of which one must have signed the record; none: no signature is required.
            scope: the scope for which the record must have been signed.

        Raises:
            SnapshotError: the bytes are no record, or not a trusted one.
        """
        try:
            found = json.loads(dumped)
            fields = {name: found[name] for name in _TYPES}
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise SnapshotCorrupt("its candidate in Redis is not one of this release") from error
        if any(type(fields[name]) is not kind for name, kind in _TYPES.items()):
            raise SnapshotCorrupt("its candidate in Redis holds values of the wrong type")
        candidate = cls(tenant, fields["serial"], Revision(fields["number"], fields["digest"]), fields["permissions"])
        if not (0 < candidate.revision.number < NUMBERS_END and 0 < candidate.serial < NUMBERS_END):
            raise SnapshotCorrupt("its candidate in Redis holds a number that no loader gives")
        signature = fields["signature"].encode("utf-8", "replace")
        if secrets and not any(
            hmac.compare_digest(signature, candidate._sign(secret, scope).encode()) for secret in secrets
        ):
            raise SnapshotUntrusted("candidate bears no valid signature for this deployment and prefix")
        return candidate

    def _sign(self, secret: bytes, scope: Scope) -> str:
        revision = [self.revision.number, self.revision.digest]
        message = json.dumps(["candidate", self.tenant, self.serial, *revision, self.permissions, *scope])
        return hmac.digest(secret, message.encode(), "sha256").hex()
