"""Challenges: tokens sent with a CHALLENGE and returned with the digits dialled.

A challenge holds the signed request, so that any replica can decide the request again without stored state. A
challenge holds no password and no hash of one. The form:

    base64url( HMAC-SHA256 under a key derived from the deployment's, of the following
               JSON: [version, tenant, caller, extension, outcall, revision's number, expiry in ms, nonce] )
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import secrets as random
import time
from typing import TYPE_CHECKING, NamedTuple

from pdp.challenges.attempts import subject_of
from pdp.errors import ChallengeOver, ForgedChallenge
from pdp.rules.model import Call

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pdp.rules.snapshot.snapshot import Snapshot

VERSION = 1
_MAC_SIZE = 32
_NONCE_SIZE = 12
_PURPOSE = b"challenge\0"
"""Keeps this key apart from the others that are derived from the deployment's."""


class Challenge(NamedTuple):
    """A request with the decision CHALLENGE.

    Attributes:
        tenant: the tenant of the deciding rules.
        caller: a user of that tenant, in lower case; empty: not known to the tenant.
        extension: the extension dialled.
        outcall: an outcall of that tenant; empty: not known to the tenant.
        number: of the revision that decided.
        expires_at: in milliseconds of Unix time.
        nonce: random text, different for each challenge.
    """

    tenant: str
    caller: str
    extension: str
    outcall: str
    number: int
    expires_at: int
    nonce: str

    @property
    def call(self) -> Call:
        """The call of the challenge."""
        return Call(self.caller, self.extension, self.outcall, self.tenant)

    @property
    def subject(self) -> str:
        """The subject of attempts."""
        return subject_of(self.tenant, self.caller, self.outcall)


class ChallengeSeal:
    """Makes challenges, and opens those that any replica made.

    Args:
        secrets: the deployment's keys; the first signs, and each is accepted. At least one.
        seconds: for which a challenge is good.
        now: the time, in seconds of Unix time.
    """

    def __init__(self, secrets: Sequence[bytes], *, seconds: float, now: Callable[[], float] = time.time) -> None:
        self._keys = [hmac.digest(secret, _PURPOSE, "sha256") for secret in secrets]
        self._milliseconds = int(seconds * 1000)
        self._now = now

    @property
    def signing(self) -> tuple[bytes, int]:
        """For other makers of the same challenges: the signing key, and the validity in milliseconds."""
        return self._keys[0], self._milliseconds

    def make(self, snapshot: Snapshot, call: Call) -> str:
        """A challenge for a call that ``snapshot`` decided with CHALLENGE."""
        fields = Challenge(
            tenant=snapshot.tenant,
            # What the tenant does not know has no part in the decision, and can be of any length.
            caller=call.caller.lower() if snapshot.knows_caller(call.caller) else "",
            extension=call.extension,
            outcall=call.outcall if snapshot.knows_outcall(call.outcall) else "",
            number=snapshot.revision.number,
            expires_at=self._milliseconds_now() + self._milliseconds,
            nonce=random.token_urlsafe(_NONCE_SIZE),
        )
        payload = json.dumps((VERSION, *fields), separators=(",", ":")).encode()
        signed = hmac.digest(self._keys[0], payload, "sha256") + payload
        return base64.urlsafe_b64encode(signed).rstrip(b"=").decode()

    def open(self, text: str) -> Challenge:
        """The challenge in a text.

        Raises:
            ForgedChallenge: the text is no challenge, or was altered.
            ChallengeOver: the challenge has expired.
        """
        challenge = self._read(text)
        if self.left(challenge) <= 0:
            raise ChallengeOver("has expired")
        return challenge

    def left(self, challenge: Challenge) -> float:
        """Seconds of validity left; not above 0 once expired."""
        return (challenge.expires_at - self._milliseconds_now()) / 1000

    def _read(self, text: str) -> Challenge:
        try:
            signed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise ForgedChallenge from error
        mac, payload = signed[:_MAC_SIZE], signed[_MAC_SIZE:]
        if not any([hmac.compare_digest(mac, hmac.digest(key, payload, "sha256")) for key in self._keys]):  # noqa: C419 - all keys are tried, so that the time does not tell which one it was
            raise ForgedChallenge
        version, *fields = json.loads(payload)
        if version != VERSION:  # of another release
            raise ForgedChallenge
        return Challenge(*fields)

    def _milliseconds_now(self) -> int:
        return int(self._now() * 1000)
