"""The numbers of revisions, chosen so that no server that followed an earlier one rejects a new one.

Numbers rise. A loader takes the number above the highest known one: of pointers, of the manifest, and of the numbers
that servers have followed, which outlive losses of Redis. Only where all of these are lower the time counts, in
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
"""The numbers that are left above one that is believed: no revision gets the last one."""


def least_number(known: int, clocks: Iterable[int]) -> int:
    """The lowest number that a new revision may get.

    Args:
        known: the highest number that is known to have been given.
        clocks: times in milliseconds of Unix time.
    """
    return max(known + 1, min(clocks))


def dump_followed(number: int, secret: bytes | None, scope: Scope) -> bytes:
    """A server's record of the highest number that it has followed, as Redis holds the record."""
    return f"{number} {_sign(number, secret, scope) if secret else '-'}".encode()


def load_followed(dumped: bytes | None, secrets: Sequence[bytes], scope: Scope) -> int:
    """The number in a server's record; 0 without a record, or for one that no server of this deployment signed."""
    digits, _, signature = (dumped or b"").partition(b" ")
    if not (digits.isdigit() and len(digits) <= len(str(NUMBERS_END))):
        return 0
    number = int(digits)
    if secrets and not any(hmac.compare_digest(signature, _sign(number, secret, scope).encode()) for secret in secrets):
        return 0
    return number if number < NUMBERS_END - _ROOM else 0


def _sign(number: int, secret: bytes, scope: Scope) -> str:
    return hmac.digest(secret, json.dumps(["followed", number, *scope]).encode(), "sha256").hex()
