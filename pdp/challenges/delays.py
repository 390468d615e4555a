"""Delays: how many wrong PINs are looked at for one permission and for one tenant, through all callers together.

A lockout stops a caller. A client that names one caller after the other has three guesses as each, so a PIN that many
share is found in seconds. So wrong PINs are also counted by permission and by tenant, and beyond a few the next one is
looked at after a delay that grows. What comes sooner is not looked at, and does not count against its caller.

A right PIN cannot be told from a guess before it is looked at. What can be told apart is who sends it, so a PIN is
looked at where one of these lanes is free, in this order:

    PROVEN    callers who have dialled this permission's right PIN through the same client
    KNOWN     other callers of a client through which right ones came
    STRANGE   clients without: few for each, and not many for all together
    COMMON    a little for everybody

Each lane is counted apart, so guesses in one close none of those before it. A right PIN counts for nothing and takes
back its caller's wrong ones. The same wrong PIN again, by proven callers, is counted once: after a change of the PIN
many dial the old one, and none of them guesses.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORD_SECONDS: Final = 90 * 24 * 3600.0
"""Time for which a right PIN is remembered as its caller's and client's record."""
WRONG_SECONDS: Final = 24 * 3600.0
"""Time after which a lane without wrong PINs is forgotten; a meter is empty by then, or nearly."""
FORGIVEN_SECONDS: Final = 900.0
"""Time within which a right PIN takes its caller's wrong ones back."""
MOST_REPEATED: Final = 200
"""Distinct wrong PINs that are remembered for a permission and client; then it begins afresh."""
_TENANT_SHARE: Final = 4.0
"""How many times a permission's wrong PINs all permissions of a tenant have together."""
_SCALE: Final = 100.0
"""The limit that the paces below are for."""
_MOST_DOUBLINGS: Final = 32
_MARK_SIZE: Final = 9


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast wrong PINs of one meter are looked at.

    Attributes:
        free: wrong PINs without a delay.
        first: seconds of the first delay; each further one doubles.
        longest: seconds to which delays grow; one wrong PIN is forgotten for each such time.
    """

    free: int
    first: float
    longest: float

    def delay(self, level: float) -> float:
        """Seconds until the next PIN is looked at, after so many wrong ones."""
        over = math.ceil(level) - self.free  # rounded up: the moment between two wrong PINs makes no third one free
        return 0.0 if over < 0 else min(self.first * 2.0 ** min(over, _MOST_DOUBLINGS), self.longest)

    def times(self, factor: float) -> Pace:
        """The pace at which so many times as many are looked at."""
        return Pace(max(1, round(self.free * factor)), self.first / factor, self.longest / factor)


class Lane(Enum):
    """A share of the PINs that are looked at; see the module."""

    PROVEN = "proven"
    KNOWN = "known"
    STRANGE = "strange"
    COMMON = "common"


_PACES: Final = (
    (Lane.PROVEN, "proven", Pace(5, 60.0, 900.0)),
    (Lane.KNOWN, "known", Pace(8, 15.0, 900.0)),
    (Lane.STRANGE, "strange", Pace(3, 7200.0, 14_400.0)),
    (Lane.STRANGE, "strangers", Pace(62, 60.0, 600.0)),
    (Lane.COMMON, "common", Pace(3, 120.0, 900.0)),
)
"""The meters of a permission. In the first hour 12, 17, 3 (all of them together 71) and 9 wrong PINs are looked at."""
_SHARED: Final = frozenset({"strangers", "common"})
"""Meters that all clients share; each client has the others to itself."""
_OF_PERMISSION: Final = "permission"
TENANT_SCOPE: Final = "all/"
"""The beginning of the names of a tenant's meters."""
_SCOPES: Final = 2
"""Each meter counts for the permission, and once more for the tenant."""
LANES: Final = {
    lane: tuple(
        number * _SCOPES + scope
        for number, (of_lane, *_) in enumerate(_PACES)
        if of_lane is lane
        for scope in range(_SCOPES)
    )
    for lane in Lane
}
"""The meters of each lane, all of which must be free: places in ``Paces.meters``."""


class Guess(NamedTuple):
    """A PIN that is about to be looked at.

    Attributes:
        tenant: the tenant's UUID.
        permission: id of the permission that asks for the PIN.
        caller: UUID of the user who calls; empty: not known, so without a record.
        client: the client that sent the PIN, as ``client_key`` names it.
        mark: tells whether two PINs for the same password are the same; see ``mark_of``.
    """

    tenant: str
    permission: str
    caller: str
    client: str
    mark: str


class Charge(NamedTuple):
    """A meter that counted a look, for a right PIN to give back.

    Attributes:
        meter: its place in ``Paces.meters``.
        until: end of the delay that began with the look, in the counter's own time.
        before: end of the delay before that.
    """

    meter: int
    until: float
    before: float


class Look(NamedTuple):
    """Whether a PIN may be looked at.

    Attributes:
        wait: seconds after which to ask again; 0: the PIN may be looked at.
        charges: how it counts until ``succeed``.
    """

    wait: float
    charges: tuple[Charge, ...] = ()


class Delays(Protocol):
    """Counts wrong PINs by permission and tenant, for all replicas or for one."""

    def take(self, guess: Guess) -> Look:
        """Takes a look, which counts as wrong until ``succeed`` says otherwise.

        Raises:
            AttemptsUnavailable: nothing can be counted now.
        """
        ...

    def succeed(self, guess: Guess, look: Look) -> None:
        """The PIN was right: it counts for nothing, and is its caller's and client's record.

        Raises:
            AttemptsUnavailable: nothing can be counted now.
        """
        ...

    def delayed(self) -> Iterator[Delayed]:
        """The delays of now, in no order.

        Raises:
            AttemptsUnavailable: they cannot be read now.
        """
        ...

    def end(self, tenant: str, permission: str) -> bool:
        """Forgets the wrong PINs for a permission, and for all the tenant's together; False: there were none.

        Raises:
            AttemptsUnavailable: nothing can be counted now.
        """
        ...


class Delayed(NamedTuple):
    """A meter that lets no PIN through now.

    Attributes:
        tenant: the tenant's UUID.
        meter: the meter's name.
        seconds: left of the delay.
    """

    tenant: str
    meter: str
    seconds: float

    @property
    def permission(self) -> str:
        """The permission's id; empty: the meter is of all the tenant's permissions."""
        scope, *rest = self.meter.split("/")
        return rest[0] if scope == _OF_PERMISSION else ""

    @property
    def lane(self) -> str:
        """What the meter is for: a lane, or all strange clients together."""
        return self.meter.split("/")[2 if self.permission else 1]


class Meter(NamedTuple):
    """A meter of wrong PINs.

    Attributes:
        name: unique within the tenant.
        pace: how fast the meter lets PINs through.
    """

    name: str
    pace: Pace


class Paces:
    """The paces of all meters.

    Args:
        guesses: about how many wrong PINs are looked at in an hour, for one permission through twenty clients; above 0.
    """

    def __init__(self, guesses: int = 100) -> None:
        scaled = [(name, pace.times(guesses / _SCALE)) for _, name, pace in _PACES]
        self._paces = [(name, pace, pace.times(_TENANT_SHARE)) for name, pace in scaled]

    def meters(self, guess: Guess) -> list[Meter]:
        """The meters that may count a guess, each of the permission and of the tenant."""
        found = []
        for name, of_permission, of_tenant in self._paces:
            whose = name if name in _SHARED else f"{name}/{guess.client}"
            found += [
                Meter(f"{permission_scope(guess.permission)}{whose}", of_permission),
                Meter(f"{TENANT_SCOPE}{whose}", of_tenant),
            ]
        return found


def permission_scope(permission: str) -> str:
    """The beginning of the names of a permission's meters."""
    return f"{_OF_PERMISSION}/{permission}/"


def lanes(*, proven: bool, known: bool) -> tuple[Lane, ...]:
    """The lanes of a PIN, in the order in which they are tried.

    Args:
        proven: whether the caller has a record at the permission, through the same client.
        known: whether the client has one.
    """
    if proven:
        return Lane.PROVEN, Lane.KNOWN, Lane.COMMON
    return (Lane.KNOWN if known else Lane.STRANGE), Lane.COMMON


def client_key(name: str) -> str:
    """A short name for a client, safe in keys."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def mark_of(secret: bytes, record: bytes, password: str) -> str:
    """A keyed digest by which equal PINs for one password are recognised; it says nothing without the key.

    Args:
        secret: the deployment's key.
        record: salt and hash of the password that was asked for, different for each password.
        password: the digits dialled.
    """
    return hmac.digest(secret, b"guess\0" + record + password.encode(), "sha256")[:_MARK_SIZE].hex()
