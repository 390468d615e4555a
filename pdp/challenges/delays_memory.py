"""Delays in this process, for a server that stands alone."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pdp.challenges.delays import (
    FORGIVEN_SECONDS,
    LANES,
    MOST_REPEATED,
    RECORD_SECONDS,
    TENANT_SCOPE,
    WRONG_SECONDS,
    Charge,
    Delayed,
    Look,
    lanes,
    permission_scope,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pdp.challenges.delays import Guess, Meter, Pace, Paces

_SWEEP_SECONDS: Final = 60.0


@dataclass(slots=True)
class _Count:
    """The state of a meter."""

    level: float = 0.0
    at: float = 0.0
    until: float = 0.0

    def sink(self, now: float, pace: Pace, back: int = 0) -> None:
        """Takes off what time has forgotten, and what is given back."""
        self.level = max(0.0, self.level - (now - self.at) / pace.longest - back)
        self.at = now

    def rise(self, now: float, pace: Pace) -> tuple[float, float]:
        """Counts a PIN; the ends of the delay that begins, and of the one before."""
        self.sink(now, pace)
        self.level += 1
        before, self.until = self.until, now + pace.delay(self.level)
        return self.until, before


@dataclass(slots=True)
class _Owed:
    """A caller's wrong PINs by meter, for as long as a right one takes them back."""

    until: float = 0.0
    meters: Counter[int] = field(default_factory=Counter)


@dataclass(slots=True)
class _Record:
    """A client's record at a permission: the ends of the times for which each thing is remembered."""

    until: float = 0.0
    proven: dict[str, float] = field(default_factory=dict)
    repeated: dict[str, float] = field(default_factory=dict)
    owed: dict[str, _Owed] = field(default_factory=dict)

    def forget(self, now: float) -> bool:
        """Drops what is over; False: nothing is left."""
        self.proven = {caller: until for caller, until in self.proven.items() if until > now}
        self.repeated = {mark: until for mark, until in self.repeated.items() if until > now}
        self.owed = {caller: owed for caller, owed in self.owed.items() if owed.until > now}
        return bool(self.proven or self.owed or self.until > now)


class MemoryDelays:
    """Delays that are forgotten when the process ends.

    Args:
        paces: how many PINs are looked at.
        now: a clock that never goes back, in seconds.
    """

    def __init__(self, paces: Paces, *, now: Callable[[], float] = time.monotonic) -> None:
        self._paces = paces
        self._now = now
        self._counts: dict[tuple[str, str], _Count] = {}
        self._records: dict[tuple[str, str, str], _Record] = {}
        self._sweep_at = 0.0
        self._lock = threading.Lock()

    def take(self, guess: Guess) -> Look:
        """See ``Delays``."""
        with self._lock:
            now, meters = self._now(), self._paces.meters(guess)
            self._sweep(now)
            record = self._records.get((guess.tenant, guess.permission, guess.client), _Record())
            proven, wait = record.proven.get(guess.caller, 0.0) > now, math.inf
            for lane in lanes(proven=proven, known=record.until > now):
                late = max(self._count(guess, meters[place]).until for place in LANES[lane]) - now
                if late <= 0:
                    if proven and record.repeated.get(guess.mark, 0.0) > now:
                        return Look(0.0)
                    return self._charge(guess, LANES[lane], now, proven=proven)
                wait = min(wait, late)
            return Look(wait)

    def succeed(self, guess: Guess, look: Look) -> None:
        """See ``Delays``."""
        with self._lock:
            now, meters = self._now(), self._paces.meters(guess)
            record = self._records.setdefault((guess.tenant, guess.permission, guess.client), _Record())
            owed = record.owed.pop(guess.caller, _Owed())
            taken = owed.meters if owed.until > now else Counter(charge.meter for charge in look.charges)
            for place, count in taken.items():
                self._count(guess, meters[place]).sink(now, meters[place].pace, count)
            for charge in look.charges:
                found = self._count(guess, meters[charge.meter])
                if found.until == charge.until:
                    found.until = charge.before
            record.until = now + RECORD_SECONDS
            if guess.caller:
                record.proven[guess.caller] = record.until
            record.repeated.pop(guess.mark, None)

    def delayed(self) -> Iterator[Delayed]:
        """See ``Delays``."""
        with self._lock:
            now = self._now()
            return iter([Delayed(*key, one.until - now) for key, one in self._counts.items() if one.until > now])

    def end(self, tenant: str, permission: str) -> bool:
        """See ``Delays``."""
        ended = permission_scope(permission), TENANT_SCOPE
        with self._lock:
            kept = {key: one for key, one in self._counts.items() if key[0] != tenant or not key[1].startswith(ended)}
            found, self._counts = len(self._counts) > len(kept), kept
            return found

    def _count(self, guess: Guess, meter: Meter) -> _Count:
        return self._counts.get((guess.tenant, meter.name)) or _Count()

    def _charge(self, guess: Guess, places: tuple[int, ...], now: float, *, proven: bool) -> Look:
        meters, charges = self._paces.meters(guess), []
        for place in places:
            count = self._counts.setdefault((guess.tenant, meters[place].name), _Count(at=now))
            charges.append(Charge(place, *count.rise(now, meters[place].pace)))
        if guess.caller:
            record = self._records.setdefault((guess.tenant, guess.permission, guess.client), _Record())
            owed = record.owed.setdefault(guess.caller, _Owed())
            if owed.until <= now:
                owed.meters.clear()
            owed.until = now + FORGIVEN_SECONDS
            owed.meters.update(places)
            if proven:
                if len(record.repeated) >= MOST_REPEATED:
                    record.repeated.clear()
                record.repeated[guess.mark] = now + WRONG_SECONDS
        return Look(0.0, tuple(charges))

    def _sweep(self, now: float) -> None:
        """Forgets what is over, once a minute."""
        if now < self._sweep_at:
            return
        self._sweep_at = now + _SWEEP_SECONDS
        self._counts = {key: one for key, one in self._counts.items() if max(one.at, one.until) + WRONG_SECONDS > now}
        self._records = {key: record for key, record in self._records.items() if record.forget(now)}
