"""The manifest: the signed list of tenants, so that none can go missing unnoticed.

Pointers come and go one by one: a pointer that Redis lost, or that was deleted by hand, leaves no trace among the
others. The loader therefore lists the tenants in one signed manifest. In Redis the manifest is

    signature in hexadecimal, or "-" without a key, a line end, and JSON:
    {"version": 1, "deployment": TEXT, "prefix": TEXT, "sequence": INTEGER, "signed_at": MILLISECONDS,
     "complete": BOOLEAN, "tenants": {UUID: [SERIAL, REVISION, CLOSED], …}}

``SERIAL`` is that of the tenant's pointer when the manifest was signed, and no pointer with a lower one is taken; 0 and
an empty REVISION: the tenant is not published yet. ``CLOSED`` is the number of faults that keep the tenant closed, 0 of
an open one. ``sequence`` rises with every manifest. ``complete`` is false where the source was never read completely,
so that there may be more tenants.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from pdp.rules.errors import SnapshotCorrupt, SnapshotForeign, SnapshotMisplaced, SnapshotUntrusted
from pdp.rules.publication.keys import DEFAULT_SCOPE, Scope

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VERSION = 1
NUMBERS_END = 2**53
"""The end of valid numbers: not every program on the way holds larger ones exactly; Unix time will not get there."""
_DOMAIN = b"rightcall manifest\n"
"""The prefix of signed content: no signature of anything else can stand for one of a manifest."""


class Listed(NamedTuple):
    """The entry of a tenant in a manifest.

    Attributes:
        serial: the serial of the tenant's pointer; 0: none was published yet.
        revision: the revision of that pointer.
        closed: the number of faults that keep the tenant closed; 0: the tenant is open.
    """

    serial: int = 0
    revision: str = ""
    closed: int = 0

    @property
    def has_rules(self) -> bool:
        """Whether there are rules to load. A closed tenant without a published revision has none."""
        return self.serial > 0 or not self.closed


@dataclass(frozen=True, slots=True)
class Manifest:
    """The tenants of a deployment.

    Attributes:
        scope: the deployment and prefix of the manifest.
        sequence: rises with every manifest.
        signed_at: milliseconds of Unix time, by the loader's clock.
        tenants: by UUID.
        complete: whether there are no others.
    """

    scope: Scope = DEFAULT_SCOPE
    sequence: int = 0
    signed_at: int = 0
    tenants: Mapping[str, Listed] = field(default_factory=dict)
    complete: bool = True

    def dump(self, secret: bytes | None) -> bytes:
        """The manifest as Redis holds it."""
        body = json.dumps(
            {
                "version": VERSION,
                "deployment": self.scope.deployment,
                "prefix": self.scope.prefix,
                "sequence": self.sequence,
                "signed_at": self.signed_at,
                "complete": self.complete,
                "tenants": dict(sorted(self.tenants.items())),
            },
            separators=(",", ":"),
        ).encode()
        signature = hmac.digest(secret, _DOMAIN + body, "sha256").hex() if secret else "-"
        return signature.encode() + b"\n" + body

    @classmethod
    def load(cls, dumped: bytes, secrets: Sequence[bytes], scope: Scope) -> Manifest:
        """Reads a manifest.

        Args:
            dumped: the result of ``dump``.
            secrets: the deployment's keys, of which one must have signed the manifest; none: no signature is required.
            scope: the scope for which the manifest must have been signed.

        Raises:
            SnapshotError: the bytes are no manifest, not a trusted one, or one for another deployment or prefix.
        """
        signature, _, body = dumped.partition(b"\n")
        if secrets and not any(
            hmac.compare_digest(signature, hmac.digest(secret, _DOMAIN + body, "sha256").hex().encode())
            for secret in secrets
        ):
            raise SnapshotUntrusted("manifest bears no valid signature")
        try:
            found: dict[str, Any] = json.loads(body)
            version = found["version"]
            if version != VERSION:
                raise SnapshotForeign("manifest's version", VERSION, version)
            meant = Scope(found["prefix"], found["deployment"])
            tenants = {uuid: _listed(entry) for uuid, entry in found["tenants"].items()}
            made = cls(meant, found["sequence"], found["signed_at"], tenants, found["complete"])
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise SnapshotCorrupt("the manifest in Redis is none of this release") from error
        if type(made.sequence) is not int or type(made.signed_at) is not int or type(made.complete) is not bool:
            raise SnapshotCorrupt("the manifest in Redis holds values of the wrong type")
        if not 0 < made.sequence < NUMBERS_END:
            raise SnapshotCorrupt("the manifest in Redis holds a number that no loader gives")
        if meant != scope:
            raise SnapshotMisplaced("manifest", scope, meant)
        return made


def _listed(entry: list[Any]) -> Listed:
    listed = Listed(*entry)
    if (
        len(entry) != len(listed)
        or [type(value) for value in listed] != [int, str, int]
        or not 0 <= listed.serial < NUMBERS_END
    ):
        raise ValueError(entry)
    return listed
