"""What release 0.1 left in Redis, and how its servers read a pointer: for upgrades, both ways round."""

from __future__ import annotations

import base64
import hmac
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redis import Redis

DUMP = Path(__file__).parents[1] / "cases" / "redis-0.1.json"
_FIELDS = ("serial", "number", "digest", "removed", "pinned", "permissions")


def fill(client: Redis) -> None:
    """Puts into Redis what a loader of release 0.1 did: two tenants, signed with the tests' key."""
    for name, value in json.loads(DUMP.read_text(encoding="utf-8"))["keys"].items():
        (kind, content) = next(iter(value.items()))
        if kind == "hash":
            client.hset(name, mapping={field: base64.b64decode(one) for field, one in content.items()})
        elif kind == "string":
            client.set(name, base64.b64decode(content))
        else:
            client.zadd(name, {base64.b64decode(member): score for member, score in content})


def read_pointer(tenant: str, dumped: bytes, secret: bytes) -> dict[str, Any] | None:
    """A pointer as a server of release 0.1 reads it: fields that it does not know are nothing to it; None: refused."""
    found = json.loads(dumped)
    fields = {name: found[name] for name in _FIELDS}
    message = json.dumps(["pointer", tenant, fields])
    expected = hmac.digest(secret, message.encode(), "sha256").hex()
    return fields if hmac.compare_digest(found["signature"], expected) else None
