"""Lockouts and delays of PINs, for both clients: values, and what they are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rightcall import v1


@dataclass(frozen=True, slots=True)
class Lockout:
    """A caller whose PINs are not looked at.

    Attributes:
        tenant: the tenant's UUID.
        caller: the user's UUID; empty: callers whom the tenant does not know.
        outcall: with an empty caller, id of the outcall through which they call.
        retry_after: seconds left.
        lockouts: how many in a row this is.
    """

    tenant: str
    caller: str
    outcall: str
    retry_after: int
    lockouts: int


@dataclass(frozen=True, slots=True)
class PinDelay:
    """A lane in which no PIN for a permission is looked at now.

    Attributes:
        tenant: the tenant's UUID.
        permission: the permission's id; empty: all of the tenant's together.
        lane: its name, as in docs/challenges.md.
        clients: how many clients are delayed.
        retry_after: seconds left, of the longest.
    """

    tenant: str
    permission: str
    lane: str
    clients: int
    retry_after: int


@dataclass(frozen=True, slots=True)
class Lockouts:
    """What is locked out and delayed now.

    Attributes:
        lockouts: by tenant, caller and outcall.
        delays: by tenant, permission and lane.
        more: whether a limit left lockouts out.
    """

    lockouts: tuple[Lockout, ...]
    delays: tuple[PinDelay, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class Unlocked:
    """What came of an unlocking.

    Attributes:
        lifted: whether there was anything to forget.
        tenant: the tenant's UUID.
        caller: the user's UUID; empty without a caller.
    """

    lifted: bool
    tenant: str
    caller: str


def to_lockouts(response: v1.ListLockoutsResponse) -> Lockouts:
    """The lockouts in a response."""
    return Lockouts(
        tuple(
            Lockout(one.tenant, one.caller, one.outcall, one.retry_after_seconds, one.lockouts)
            for one in response.lockouts
        ),
        tuple(
            PinDelay(one.tenant, one.permission, one.lane, one.clients, one.retry_after_seconds)
            for one in response.delays
        ),
        response.more,
    )


def to_unlocked(response: v1.UnlockResponse) -> Unlocked:
    """The result in a response."""
    return Unlocked(response.lifted, response.tenant, response.caller)
