"""Attempts at passwords: counted before the password is looked at, so that guessing in parallel gains nothing.

A password usually has four digits, so the only protection is a small number of guesses. Each response to a challenge
takes an attempt first. Taking the last attempt locks the subject out; a right password undoes the lockout. Between the
two steps the subject gets no other attempt.

Wrong passwords are counted by permission, and a right one forgives those for the same permission alone: knowing one
permission's password gives no guesses at another's. The counts are forgotten a day after the last wrong password, and
so is the number of lockouts, each of which doubles the next.
"""

from __future__ import annotations

import secrets as random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MEMORY_SECONDS = 24 * 3600.0
"""Time for which wrong passwords, and lockouts after the end, are remembered."""
LONGEST_LOCKOUT = 24 * 3600.0
"""Seconds to which lockouts double; a longer setting is not doubled."""
_MOST_DOUBLINGS = 32
"""The number of doublings after which any lockout is the longest."""
_TURN_ID_SIZE = 8
_SWEEP_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of attempts and lockouts.

    Attributes:
        attempts: wrong passwords until a subject is locked out; at least 1.
        lockout_seconds: of the first lockout.
    """

    attempts: int = 3
    lockout_seconds: float = 900.0

    def lockout(self, earlier: int) -> float:
        """Seconds of a lockout after as many earlier ones."""
        longest = max(LONGEST_LOCKOUT, self.lockout_seconds)
        return min(self.lockout_seconds * 2.0 ** min(earlier, _MOST_DOUBLINGS), longest)


class TurnState(Enum):
    """Whether a password may be looked at."""

    TAKEN = "taken"
    """Yes; the attempt counts already."""
    LOCKED = "locked"
    """No: the subject is locked out."""
    USED = "used"
    """No: the challenge opened a call before."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The result of taking an attempt.

    Attributes:
        state: whether the password may be checked.
        left: attempts left if the password is wrong.
        locked_seconds: seconds of the lockout, with TAKEN if the password is wrong; 0: no lockout.
        id: names this attempt.
    """

    state: TurnState
    left: int = 0
    locked_seconds: float = 0.0
    id: str = ""


class Lockout(NamedTuple):
    """A subject that is locked out.

    Attributes:
        subject: the subject.
        seconds: left of the lockout.
        lockouts: the number of lockouts in a row, this one included.
    """

    subject: str
    seconds: float
    lockouts: int


class Attempts(Protocol):
    """Counts attempts, for all replicas or for one."""

    def take(self, subject: str, what: str, nonce: str) -> Turn:
        """Takes an attempt, which counts as wrong until ``succeed`` says otherwise.

        Args:
            subject: the subject, for which attempts are counted together.
            what: the subject's password that is tried.
            nonce: nonce of the challenge.

        Raises:
            AttemptsUnavailable: nothing can be counted now.
        """
        ...

    def give_back(self, subject: str, what: str, nonce: str, turn: Turn) -> None:
        """The password was not looked at: the attempt does not count.

        Args:
            subject: as in ``take``.
            what: as in ``take``.
            nonce: as in ``take``.
            turn: the result of ``take``.

        Raises:
            AttemptsUnavailable: nothing can be counted now.
        """
        ...

    def succeed(self, subject: str, what: str, nonce: str, turn: Turn, seconds: float) -> bool:
        """The password was right: the challenge is used up, and wrong answers to the same are forgiven.

        Args:
            subject: as in ``take``.
            what: as in ``take``.
            nonce: as in ``take``.
            turn: the result of ``take``.
            seconds: for which the challenge is still good, and so has to be remembered.

        Returns:
            False where another right answer to the same challenge came first; then nothing is changed.

        Raises:
            AttemptsUnavailable: nothing can be counted now.
        """
        ...

    def lockouts(self) -> Iterator[Lockout]:
        """The lockouts of now, in no order.

        Raises:
            AttemptsUnavailable: they cannot be read now.
        """
        ...

    def unlock(self, subject: str) -> bool:
        """Forgets a subject's wrong passwords and lockouts; False: there were none.

        Raises:
            AttemptsUnavailable: nothing can be counted now.
        """
        ...


def subject_of(tenant: str, caller: str, outcall: str) -> str:
    """The subject of attempts: the caller, else the outcall for all unknown callers together.

    Anybody can call himself anything, so callers that the tenant does not know count as one.
    """
    return f"{tenant}/user/{caller}" if caller else f"{tenant}/outcall/{outcall}"


def parts_of(subject: str) -> tuple[str, str, str]:
    """Tenant, caller and outcall of a subject; caller or outcall is empty."""
    tenant, kind, who = subject.split("/", 2)
    return (tenant, who, "") if kind == "user" else (tenant, "", who)


def new_turn_id() -> str:
    """The id of an attempt."""
    return random.token_hex(_TURN_ID_SIZE)


@dataclass(slots=True)
class _Record:
    """The counts of one subject."""

    wrong: Counter[str] = field(default_factory=Counter)
    locked_until: float = 0.0
    locked_by: str = ""
    lockouts: int = 0
    forget_at: float = 0.0

    def lift(self, turn: Turn) -> None:
        """Ends the lockout that an attempt began, as if there had been none."""
        if self.locked_by == turn.id:
            self.locked_until, self.locked_by = 0.0, ""
            self.lockouts -= 1


class MemoryAttempts:
    """Attempts in this process, for a server that stands alone; forgotten when the process ends.

    Args:
        limits: limits of attempts and lockouts.
        now: a clock that never goes back, in seconds.
    """

    def __init__(self, limits: Limits, *, now: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._now = now
        self._records: dict[str, _Record] = {}
        self._used: dict[str, float] = {}
        self._sweep_at = 0.0
        self._lock = threading.Lock()

    def take(self, subject: str, what: str, nonce: str) -> Turn:
        """See ``Attempts``."""
        with self._lock:
            now = self._now()
            self._sweep(now)
            if self._used.get(nonce, 0.0) > now:
                return Turn(TurnState.USED)
            record = self._records.setdefault(subject, _Record())
            if record.locked_until > now:
                return Turn(TurnState.LOCKED, locked_seconds=record.locked_until - now)
            if record.locked_until:  # it is over
                record.locked_until = 0.0
                record.wrong.clear()
            return self._count(record, what, now)

    def give_back(self, subject: str, what: str, nonce: str, turn: Turn) -> None:
        """See ``Attempts``."""
        del nonce
        with self._lock:
            record = self._records.get(subject)
            if record is None:
                return
            record.lift(turn)
            if record.wrong[what] > 0:
                record.wrong[what] -= 1

    def succeed(self, subject: str, what: str, nonce: str, turn: Turn, seconds: float) -> bool:
        """See ``Attempts``."""
        with self._lock:
            now = self._now()
            if self._used.get(nonce, 0.0) > now:
                return False
            self._used[nonce] = now + seconds
            record = self._records.get(subject)
            if record is None:
                return True
            record.lift(turn)
            del record.wrong[what]
            return True

    def lockouts(self) -> Iterator[Lockout]:
        """See ``Attempts``."""
        with self._lock:
            now = self._now()
            return iter(
                [
                    Lockout(subject, record.locked_until - now, record.lockouts)
                    for subject, record in self._records.items()
                    if record.locked_until > now
                ]
            )

    def unlock(self, subject: str) -> bool:
        """See ``Attempts``."""
        with self._lock:
            return self._records.pop(subject, None) is not None

    def _count(self, record: _Record, what: str, now: float) -> Turn:
        turn_id = new_turn_id()
        record.wrong[what] += 1
        left = max(0, self._limits.attempts - record.wrong.total())
        locked = 0.0
        if not left:
            locked = self._limits.lockout(record.lockouts)
            record.locked_until, record.locked_by = now + locked, turn_id
            record.lockouts += 1
        record.forget_at = now + locked + MEMORY_SECONDS
        return Turn(TurnState.TAKEN, left, locked, turn_id)

    def _sweep(self, now: float) -> None:
        """Forgets expired counts, once a minute."""
        if now < self._sweep_at:
            return
        self._sweep_at = now + _SWEEP_SECONDS
        self._records = {subject: record for subject, record in self._records.items() if record.forget_at > now}
        self._used = {nonce: until for nonce, until in self._used.items() if until > now}
