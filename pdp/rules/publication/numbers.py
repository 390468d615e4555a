"""Which number a revision gets, so that no server that followed an earlier one refuses it.

Numbers rise. A loader takes the one above the highest that it knows: of pointers, of the manifest, and of what servers
say that they have followed, which outlives what Redis loses. Only where all of these are lower the time counts, in
milliseconds, and of the loader's clock and that of Redis the one that is behind: a single clock that is ahead would put
the numbers ahead for good.
"""

from __future__ import annotations

import hmac
import json
from typing import TYPE_CHECKING

from pdp.rules.publication.manifest import NUMBERS_END

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pdp.rules.publication.keys import Scope

_ROOM = 1_000_000
"""Numbers that are left above one that is believed: nothing gets the last one."""


def least_number(known: int, clocks: Iterable[int]) -> int:
    """The lowest number that a new revision may get.

    Args:
        known: the highest number that is known to have been given.
        clocks: times in milliseconds of Unix time.
    """
    return max(known + 1, min(clocks))


def dump_followed(number: int, secret: bytes | None, scope: Scope) -> bytes:
    """What a server says of the highest number that it has followed, as Redis holds it."""
    return f"{number} {_sign(number, secret, scope) if secret else '-'}".encode()


def load_followed(dumped: bytes | None, secrets: Sequence[bytes], scope: Scope) -> int:
    """The number that a server said it has followed; 0 where none is said, or not by a server of this deployment."""
    digits, _, signature = (dumped or b"").partition(b" ")
    if not (digits.isdigit() and len(digits) <= len(str(NUMBERS_END))):
        return 0
    number = int(digits)
    if secrets and not any(hmac.compare_digest(signature, _sign(number, secret, scope).encode()) for secret in secrets):
        return 0
    return number if number < NUMBERS_END - _ROOM else 0


def _sign(number: int, secret: bytes, scope: Scope) -> str:
    return hmac.digest(secret, json.dumps(["followed", number, *scope]).encode(), "sha256").hex()
